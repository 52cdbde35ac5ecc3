"""Runs the trainings of a suite, some at a time; what needs others when those are done."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarking.ensembling import Ensembling
from benchmarking.identity import identity
from benchmarking.measuring import Measuring
from benchmarking.results import DONE, read_result, result_path
from benchmarking.running import Settings, Training, differences, started_with, state_of
from benchmarking.suite import Case
from mmleuk.errors import UserError

_POLL_S = 0.2


def run_cases(cases: Sequence[Case], settings: Settings, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """Run what is not done, ``settings.jobs`` at a time, and write a record as each ends.

    Args:
        cases: what is to be done when this returns.
        settings: how.
        tell: gets a line when a training starts, ends or is left out.

    Returns:
        The records of the trainings that ended now. One that another process is at when its turn comes is left to it,
        one that needs others (an ensemble, a command, a row that reads their checkpoints) is left out when they aren't
        done.

    Raises:
        UserError: before anything starts: a config or the data cannot be read, or a training was begun or done with
            another config or other data, and ``settings.renew`` is off.
        KeyboardInterrupt: on Ctrl-C or SIGTERM, once all processes are ended; what is finished is written.
    """
    waiting = _to_run(cases, settings, tell)
    running: list[Training] = []
    records = []
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while waiting or running:
            _fill(running, waiting, settings, tell)
            if not running:
                for case in waiting:
                    tell(f'{case.name}: left out, it needs {", ".join(_open_needs(case, settings))}')
                break
            # Finding the next training means reading configs and annotations: only when one has ended.
            while not (ended := [training for training in running if training.process.poll() is not None]):
                time.sleep(_POLL_S)
            for training in ended:
                running.remove(training)
                records.append(training.finish())
                tell(f'{training.case.name}: {_in_words(records[-1], training)}')
    finally:
        for training in running:
            training.stop()
        signal.signal(signal.SIGTERM, previous)
    return records


def _fill(running: list[Training], waiting: list[Case], settings: Settings, tell: Callable[[str], None]) -> None:
    """Start what can start now, moving it from one list to the other."""
    while len(running) < settings.jobs:
        case = _next_ready(waiting, settings, tell)
        if case is None:
            return
        waiting.remove(case)
        try:
            now = _unfinished(case, settings)  # hours may have passed: as config and data are when it starts
            if now is None:  # another command has been at it since this one began
                tell(f'{case.name}: done')
                continue
            running.append(_kind_of(case)(case, settings, now))
        except UserError as error:  # config or data changed, another process is at it, a member's checkpoint is gone
            tell(f'{case.name}: left out, {error}')
            continue
        tell(f'{case.name}: started; its output: {running[-1].log}')


def _kind_of(case: Case) -> type[Training]:
    return Measuring if case.row.measured else Ensembling if case.members else Training


def _next_ready(waiting: list[Case], settings: Settings, tell: Callable[[str], None]) -> Case | None:
    """The first training that waits for no other; those that need one whose config broke are left out."""
    for case in list(waiting):
        try:
            if not _open_needs(case, settings):
                return case
        except UserError as error:
            waiting.remove(case)
            tell(f'{case.name}: left out, {error}')
    return None


def _open_needs(case: Case, settings: Settings) -> list[str]:
    """The trainings that an ensemble, a command, or one that reads others' files, waits for."""
    return [other.name for other in [*case.members, *case.sources]
            if state_of(other, settings, identity(other)) != DONE]


def _to_run(cases: Sequence[Case], settings: Settings, tell: Callable[[str], None]) -> list[Case]:
    waiting = []
    for case in cases:
        if _unfinished(case, settings) is None:
            tell(f'{case.name}: done')
        else:
            waiting.append(case)
    return waiting


def _unfinished(case: Case, settings: Settings) -> dict[str, Any] | None:
    """What a training would be if it started now; None if it is done.

    Raises:
        UserError: it was begun or done with another config or other data, and may not be renewed.
    """
    now = identity(case)
    state = state_of(case, settings, now)
    if state == 'changed' and not settings.renew:
        before = read_result(result_path(settings.results, case)) or started_with(settings.folder(case)) or {}
        raise UserError(f'{case.name}: {differences(now, before)} has changed since it was trained; put it back, '
                        'or train again with --renew')
    return None if state == DONE else now


def _in_words(record: dict[str, Any], training: Training) -> str:
    if record['status'] == DONE:
        scores = ', '.join(f'{key} {record["metrics"][key]:.3f}' for key in ('coco/bbox_mAP', 'coco/bbox_mAP_50')
                           if key in record['metrics'])
        return f'done in {record["seconds"] / 60:.1f} min, {scores}'
    return f'FAILED, {record["error"]}; see {training.log}'
