"""What a training iteration costs beside a plain one: time in turns, memory in a process of its own.

Each row of a suite's ``cost.rows`` trains on its own data in a process of its own (:mod:`benchmarking.turns`),
with all its hooks and in an epoch in which the schedule has every term on. All of them, the reference included, start
from the same trained weights: from random ones there would be no pseudo-labels to pay for. The process makes one
iteration at a time, in turns with one that trains the reference, so that a busy machine slows both.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from benchmarking.identity import identity
from benchmarking.machine import ROOT, describe_machine, git_state
from benchmarking.results import cost_path, write_result
from benchmarking.running import Settings, environment
from benchmarking.suite import Case, Suite
from mmleuk.errors import UserError


def measure(suite: Suite, settings: Settings, weights: Path, iterations: int,
            tell: Callable[[str], None]) -> dict[str, Any]:
    """Measure the rows of ``suite.cost``, and write ``cost.json``.

    Args:
        suite: with ``cost: {reference: row, rows: [row, ...], epoch: counted from 1}``.
        settings: where logs and the result go, how many threads.
        weights: checkpoint of a trained detector of the reference's architecture, from which every row starts.
        iterations: per row, after two that are not counted.
        tell: gets a line per row.

    Raises:
        UserError: the suite has no ``cost``, there is no such checkpoint, or a training fails.
    """
    if not suite.cost:
        raise UserError(f'suite {suite.name}: has no cost; give it epoch, reference and rows')
    reference, names, epoch = suite.cost.reference, suite.cost.rows, suite.cost.epoch
    if not weights.is_file():
        raise UserError(f'{weights}: no such checkpoint; train a row with tools/benchmark.py and name its last one')
    cases = {name: Case.of_row(suite.name, suite.row(name), suite.row(name).seeds[0]) for name in (reference, *names)}
    identities = {name: identity(case) for name, case in cases.items()}
    rows: dict[str, Any] = {}
    for name in names:
        base, own = _pair((cases[reference], cases[name]), settings, weights, epoch, iterations)
        rows[name] = _compare(base, own) | dict(config_hash=identities[name]['config_hash'])
        tell(f'{name}: {rows[name]["cpu_s"]:.3f} s of CPU time, {rows[name]["cpu_ratio"]:.2f} x {reference}; '
             f'{rows[name]["peak_mib"]:.0f} MiB, {rows[name]["memory_ratio"]:.2f} x')
    cost = dict(reference=reference, config_hash=identities[reference]['config_hash'], epoch=epoch,
                weights='/'.join(weights.absolute().parts[-2:]), iterations=iterations, rows=rows,
                threads=settings.threads, machine=describe_machine(), git=git_state())
    write_result(cost_path(settings.results, suite), cost)
    return cost


def _pair(cases: tuple[Case, Case], settings: Settings, weights: Path, epoch: int,
          iterations: int) -> list[dict[str, Any]]:
    """The reference's and a row's seconds and memory, one iteration of each in turns."""
    turns = []
    try:
        for case in cases:
            turns.append(Turns(case, settings, weights, epoch))
        for _ in range(iterations + 2):
            for one in turns:
                one.step()
        return [one.result() for one in turns]
    finally:
        for one in turns:
            one.close()


def _compare(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, float]:
    def ratio(key: str) -> float:
        return round(own[key] / base[key], 3)
    return dict(cpu_s=round(own['cpu_s'], 4), wall_s=round(own['wall_s'], 4), cpu_ratio=ratio('cpu_s'),
                wall_ratio=ratio('wall_s'), peak_mib=round(own['peak_mib'], 1), memory_ratio=ratio('peak_mib'),
                process_mib=round(own['process_mib'], 1), process_ratio=ratio('process_mib'))


class Turns:
    """A training in a process of its own that makes an iteration when told to.

    Raises:
        UserError: the process ended early (in :meth:`step`); its last lines say why.
    """

    def __init__(self, case: Case, settings: Settings, weights: Path, epoch: int) -> None:
        self.name, self.log = case.name, settings.work_dir / case.suite / f'{case.name}_cost.txt'
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._steps: list[dict[str, float]] = []
        answers, answer = os.pipe()  # what the training prints goes to the log and must not come between
        with open(self.log, 'wb') as log:
            self._process = subprocess.Popen(
                [sys.executable, '-m', 'benchmarking.turns', str(answer), case.row.config, str(weights.absolute()),
                 str(epoch), str(self.log.with_suffix('')), *case.cfg_options()],
                cwd=ROOT, env=environment(settings.threads), stdin=subprocess.PIPE, stdout=log, stderr=log, text=True,
                pass_fds=[answer])
        os.close(answer)
        self._answers = open(answers)

    def step(self) -> None:
        """Make one iteration and note what it took."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write('\n')
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended: there is no answer either
        answer = self._answers.readline()
        if not answer:
            lines = self.log.read_text(errors='replace').strip().splitlines()
            raise UserError(f'{self.name}: the training ended early: {lines[-1] if lines else "no output"}; see '
                            f'{self.log}')
        self._steps.append(json.loads(answer))

    def result(self) -> dict[str, float]:
        """Median seconds without the first two iterations; the most memory, MiB."""
        counted = self._steps[2:]
        return dict(cpu_s=median(step['cpu_s'] for step in counted), wall_s=median(step['wall_s'] for step in counted),
                    peak_mib=self._steps[-1]['peak_mib'], process_mib=self._steps[-1]['process_mib'])

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
        self._answers.close()
