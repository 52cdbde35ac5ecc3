"""``mmleuk infer --engine ray``: Ray spreads the steps of a run over the processes of one or more machines.

Tasks of Ray without a state, not its actors: Ray starts them on any machine that is there, also on one that joins
later, and starts those of a lost process or machine again. Workers only find cells. The process that the user started
records every step in its journal, draws and writes, so no worker needs to see the output folder.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import socket
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmleuk.calibration.groups import Calibration
from mmleuk.commands.finding import FieldCount, Windows, default_side, of_windows, plan_of, predict_fields
from mmleuk.errors import UserError
from mmleuk.slides.journal import Journal, Step, record_of
from mmleuk.slides.readers import SlideError, open_slide
from mmleuk.slides.scan import find_steps, n_steps
from mmleuk.structures.prediction import Cell
from mmleuk.utils.image_inputs import name_images

if TYPE_CHECKING:
    from mmleuk.inference.base import BaseInferencer

RETRIES = 3
"""How often steps are tried again after a worker died at them."""
TASK_STEPS = 16
"""Steps that a worker gets at once. More in long runs, for at most ``MOST_TASKS`` tasks."""
MOST_TASKS = 10_000


@dataclass(frozen=True)
class Task:
    """What a worker does at once: some batches of fields, or some steps of one slide.

    Args:
        batches: of fields: the path and name of each.
        slide: path and name; None for fields.
        steps: numbers of the slide's steps.
    """

    batches: tuple[tuple[tuple[str, str], ...], ...] = ()
    slide: tuple[str, str] | None = None
    steps: tuple[int, ...] = ()


@dataclass(frozen=True)
class Setup:
    """What a worker needs besides its tasks.

    Args:
        build: the run's Inferencer.
        windows: how images are cut.
        calibrations: the scales that the run measured, by (height, width).
    """

    build: Callable[[], BaseInferencer]
    windows: Windows
    calibrations: dict[tuple[int, int], Calibration]


class Records:
    """What a worker finds; stands in for the journal, which is on another machine."""

    def __init__(self) -> None:
        self.found: dict[Step, dict[str, Any]] = {}

    def __contains__(self, step: Step) -> bool:
        return step in self.found

    def add(self, step: Step, cells: Sequence[Cell], **facts: Any) -> None:
        """Keep a finished step."""
        self.found[step] = record_of(step, cells, **facts)


class Worker:
    """One process with the model."""

    def __init__(self, setup: Setup) -> None:
        self.inferencer, self.windows = setup.build(), setup.windows
        if self.inferencer.calibrator is not None:
            self.inferencer.calibrator.calibrations.update(setup.calibrations)

    def do(self, task: Task) -> list[dict[str, Any]]:
        """The records of one task.

        Raises:
            UserError: as of the Inferencer, such as too little memory.
        """
        records = Records()
        for batch in task.batches:
            paths = [Path(path) for path, _ in batch]
            # An unreadable field is left out. The run reports it when it puts the results together.
            predict_fields(self.inferencer, paths, dict(zip(paths, (name for _, name in batch))), records)
        if task.slide is not None:
            self._scan(Path(task.slide[0]), task.slide[1], frozenset(task.steps), records)
        return list(records.found.values())

    def _scan(self, path: Path, name: str, steps: frozenset[int], records: Records) -> None:
        with suppress(SlideError), open_slide(path, self.windows.intensity) as slide:
            plan = self.windows.plan(path, slide.size_hw, default_side(self.inferencer))
            find_steps(slide, name, of_windows(self.inferencer, plan.size_hw), plan, records, steps.__contains__,
                       batch_size=self.inferencer.batch_size, skip_glass=self.windows.skip_glass)


_workers: dict[str, Worker] = {}
"""Of this process: Ray gives it many tasks, and it loads the model at the first."""


def do_task(run: str, setup: Setup, task: Task) -> list[dict[str, Any]] | str:
    """What a process of Ray calls: the records of one task, or an error that the user can fix.

    Args:
        run: names the run that the task is of.
        setup: of the run.
        task: to do.
    """
    try:
        if run not in _workers:
            _workers.clear()
            _workers[run] = Worker(setup)
        return _workers[run].do(task)
    except UserError as error:  # such as weights that this machine doesn't have
        return str(error)


def find_with_ray(build: Callable[[], BaseInferencer], inferencer: BaseInferencer, paths: Sequence[Path],
                  windows: Windows,
                  journal: Journal, device: str | None = None, workers: int | None = None) -> None:
    """Find the cells of all steps that the journal lacks, and record each once.

    Uses the cluster that RAY_ADDRESS names, else a Ray of its own on this machine.

    Args:
        build: builds the Inferencer in a worker; images, config and weights have the same paths there.
        inferencer: the same in this process.
        paths: of the images.
        windows: how large images are cut.
        journal: of this run.
        device: of the workers if the user named one, such as 'cpu'.
        workers: how many at most; default: one per GPU, or per core if there are none.

    Raises:
        UserError: Ray isn't installed, a worker can't be built, or workers die at the same steps again and again.
    """
    check_ray()
    tasks, total = tasks_of(inferencer, paths, windows, journal)
    if not tasks:
        return
    calibrator = inferencer.calibrator
    setup = Setup(build, windows, {} if calibrator is None else dict(calibrator.calibrations))
    with FieldCount(total) as count:
        for record in _records(tasks, setup, device, workers):
            journal.add_record(record)
            count.add(1, len(record['cells']))


def check_ray() -> None:
    """Refuse ``--engine ray`` without Ray.

    Raises:
        UserError: with the command that installs it.
    """
    if importlib.util.find_spec('ray') is None:
        raise UserError("--engine ray needs Ray: pip install 'mmleuk[ray]'")


def tasks_of(inferencer: BaseInferencer, paths: Sequence[Path], windows: Windows,
             journal: Journal) -> tuple[list[Task], int]:
    """The steps that the journal lacks, some per task, and how many they are.

    Batches and steps are those of one process, so that the rows are equal to the last digit.
    """
    names = dict(zip(paths, name_images(paths)))
    fields = [path for path in paths if not windows.scans(path)]
    size, side = inferencer.batch_size, default_side(inferencer)
    batches = []
    for start in range(0, len(fields), size):
        batch = fields[start:start + size]
        if not all((names[path], 0) in journal for path in batch):
            batches.append(tuple((str(path.absolute()), names[path]) for path in batch))
    slides: list[tuple[Path, list[int]]] = []
    for path in paths:
        if windows.scans(path):
            with suppress(SlideError):  # reported when the results are put together
                count = n_steps(plan_of(path, windows, side), size)
                slides.append((path, [step for step in range(count) if (names[path], step) not in journal]))
    total = len(batches) + sum(len(steps) for _, steps in slides)
    several = max(TASK_STEPS, -(-total // MOST_TASKS))
    tasks = [Task(batches=tuple(batches[start:start + several])) for start in range(0, len(batches), several)]
    for path, steps in slides:
        tasks += [Task(slide=(str(path.absolute()), names[path]), steps=tuple(steps[start:start + several]))
                  for start in range(0, len(steps), several)]
    return tasks, sum(len(batch) for batch in batches) + sum(len(steps) for _, steps in slides)


def _records(tasks: Sequence[Task], setup: Setup, device: str | None,
             workers: int | None) -> Iterator[dict[str, Any]]:
    """The records of the tasks, in the order in which workers finish them."""
    with _ray() as ray:
        gpu = ray.cluster_resources().get('GPU', 0) >= 1 and (device is None or device.startswith('cuda'))
        # By default Ray ends a process after its first task with a GPU; ours keeps its model.
        remote = ray.remote(num_gpus=1 if gpu else 0, num_cpus=1, max_retries=RETRIES, max_calls=0)(do_task)
        run, shared = uuid.uuid4().hex, ray.put(setup)
        waiting = iter(tasks)
        at_work: list[Any] = []
        while True:
            # Asked each time: machines join and leave. One task ahead of each worker, so that none has to wait for us.
            most = workers or max(1, 2 * int(ray.cluster_resources().get('GPU' if gpu else 'CPU', 1)))
            free = max(0, most - len(at_work))  # a machine that left leaves more tasks at work than there are workers
            at_work += [remote.remote(run, shared, task) for task in islice(waiting, free)]
            if not at_work:
                return
            done, at_work = ray.wait(at_work)
            for answer in done:
                try:
                    found = ray.get(answer)
                except ray.exceptions.RayTaskError:  # a bug, with its traceback
                    raise
                except ray.exceptions.RayError as error:
                    raise _died(error) from error
                if isinstance(found, str):
                    raise UserError(found)
                yield from found


def _died(error: Exception) -> UserError:
    first = str(error).strip().splitlines()[0]
    return UserError(f'a worker of Ray died {RETRIES + 1} times at the same images ({first}); often memory is short: '
                     'give fewer --workers or a smaller --batch-size. --resume continues after what is done')


@contextmanager
def _ray() -> Iterator[Any]:
    """Ray: the one that runs in this process already, the cluster that RAY_ADDRESS names, or one for this run."""
    os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')  # nothing about films leaves the machine
    import ray
    if ray.is_initialized():
        yield ray
        return
    address = os.environ.get('RAY_ADDRESS')
    if address:
        _check_address(address)
    own: dict[str, Any] = {} if address else dict(address='local', include_dashboard=False)
    ray.init(log_to_driver=False, logging_level=logging.ERROR, **own)
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Refuse an address where nobody listens: Ray itself would try for minutes."""
    host, _, port = address.removeprefix('ray://').rpartition(':')
    if not host or not port.isdigit():
        return  # such as 'auto'
    try:
        socket.create_connection((host.strip('[]'), int(port)), timeout=10).close()
    except OSError as error:
        raise UserError(f'RAY_ADDRESS {address!r}: no Ray answers there ({error}); start it with `ray start --head`, '
                        'or unset RAY_ADDRESS') from error
