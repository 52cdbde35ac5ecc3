"""A row that is a command on another row's training, such as a bottleneck that is fitted on its attributes."""

from __future__ import annotations

import csv
import math
import shlex
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarking.identity import resolve_config
from benchmarking.machine import ROOT
from benchmarking.results import count_parameters
from benchmarking.running import Settings, Training, check_checkpoints, last_checkpoint
from benchmarking.suite import Case
from mmleuk.errors import UserError

_OUT = 'out'


class Measuring(Training):
    """``mmleuk ...`` in a process of its own, and one line of the table that it writes.

    Raises:
        UserError: another process is at it, or the checkpoint isn't in the work dir.
    """

    def __init__(self, case: Case, settings: Settings, now: dict[str, Any]) -> None:
        source, = case.members
        check_checkpoints([last_checkpoint(source, settings.folder(source))], settings)
        self._began = time.monotonic()
        super().__init__(case, settings, now)

    def _arguments(self) -> list[str]:
        shutil.rmtree(self.folder / _OUT, ignore_errors=True)  # of an attempt before: commands want a new folder
        return self.command(self.folder)

    def command(self, work_dir: Path | str) -> list[str]:
        """The command line after ``python``; the measured training lies beside ``work_dir``."""
        assert self.case.row.measured is not None
        source, = self.case.members
        values = dict(config=source.row.config, seed=self.case.seed, out=Path(work_dir) / _OUT,
                      checkpoint=last_checkpoint(source, Path(work_dir).parent / source.name))
        words = shlex.split(self.case.row.measured.command)[1:]
        return ['-m', 'mmleuk.cli', *(word.format_map(values) for word in words)]

    def _measured(self) -> dict[str, Any]:
        assert self.case.row.measured is not None
        cfg = resolve_config(ROOT / self.case.members[0].row.config, self.case.members[0].cfg_options())
        table = self.folder / _OUT / self.case.row.measured.table
        metrics = numbers_of(read_line(table, self.case.row.measured.line), self.case.row.measured.metrics, table)
        return dict(epochs=0, seconds=time.monotonic() - self._began, metrics=metrics, evaluations={}, losses={},
                    scalars={}, parameters=count_parameters(cfg))


def read_line(path: Path, wanted: dict[str, str]) -> dict[str, str]:
    """The one line of a CSV that has these texts in these columns.

    Raises:
        UserError: there is no such file, or not one such line.
    """
    if not path.is_file():
        raise UserError(f'{path}: the command wrote no such table')
    with open(path, encoding='utf-8', newline='') as file:
        found = [row for row in csv.DictReader(file) if wanted.items() <= row.items()]
    if len(found) != 1:
        raise UserError(f'{path}: has {len(found)} lines with {wanted}; one is needed')
    return found[0]


def numbers_of(line: Mapping[str, str], columns: Mapping[str, str], path: Path) -> dict[str, float]:
    """Numbers of a line by key; an empty field is a score that does not exist, which a record doesn't have.

    Args:
        line: of :func:`read_line`.
        columns: key -> column.
        path: of the table, for messages.

    Raises:
        UserError: there is no such column, or no finite number in it.
    """
    numbers = {}
    for key, column in columns.items():
        if column not in line:
            raise UserError(f'{path}: has no column {column!r}; its columns are {", ".join(line)}')
        if not line[column]:
            continue
        try:
            numbers[key] = float(line[column])
        except ValueError:
            numbers[key] = math.nan
        if not math.isfinite(numbers[key]):
            raise UserError(f'{path}: column {column!r} has {line[column]!r}, which is no number')
    return numbers
