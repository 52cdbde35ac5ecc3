"""What a run has found so far, a line per step, so that a killed run continues where it stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol

from mmleuk.errors import UserError
from mmleuk.structures.prediction import Cell, cell_from_dict, cell_to_dict

FORMAT = 'mmleuk.journal/3'
Step = tuple[str, int]
"""Name of an image, and the number of the step on it from 0."""


class Recorder(Protocol):
    """Where finished steps go."""

    def __contains__(self, step: Step) -> bool:
        """Whether a step is finished."""
        ...

    def add(self, step: Step, cells: Sequence[Cell], **facts: Any) -> None:
        """Record a finished step with what it found, and further facts."""
        ...


def record_of(step: Step, cells: Sequence[Cell], **facts: Any) -> dict[str, Any]:
    """A step as the journal keeps it: plain data for JSON."""
    return dict(step=list(step), **facts, cells=[cell_to_dict(cell) for cell in cells])


class Journal:
    """A file of finished steps (JSON Lines): first the run's settings, then one line per step.

    A line is written at once when its step is finished. A process killed in writing leaves a line without an end; it is
    removed, and its step is done again. Numbers are read back exactly.

    Args:
        path: of the file.
        settings: all that decides what a step finds; plain data for JSON.
        resume: continue with the steps in the file; else an existing file is replaced.

    Raises:
        UserError: the file can't be written; with ``resume``: it is broken, or was written with other settings.

    Example::

        with Journal(path, dict(weights='a1b2', window=640), resume=True) as journal:
            if ('film.tif', 0) not in journal:
                journal.add(('film.tif', 0), cells)
    """

    def __init__(self, path: str | Path, settings: Mapping[str, Any], resume: bool = False) -> None:
        self.path = Path(path)
        self._spots: dict[Step, tuple[BinaryIO, int, int]] = {}  # file, offset and length of a step's line
        self._others: list[BinaryIO] = []
        self._head = head = json.dumps(dict(format=FORMAT, settings=settings), sort_keys=True)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            exists = resume and self.path.exists() and self.path.stat().st_size > 0
            self._file: BinaryIO = open(self.path, 'r+b' if exists else 'w+b')
            try:
                if not (exists and self._read(self._file)):
                    self._file.truncate(0)
                    self._file.seek(0)
                    self._write(head)
            except (UserError, OSError):
                self._file.close()
                raise
        except OSError as error:
            raise UserError(f'{self.path}: cannot be written ({error.strerror or error}); free some space or choose '
                            'another folder') from error

    def _read(self, file: BinaryIO) -> bool:
        """Take in the steps of a file; False if not even its first line is whole."""
        first = file.readline()
        if not first.endswith(b'\n'):
            return False
        if first.decode('utf-8', 'replace').rstrip('\n') != self._head:
            different = _difference(first, self._head)
            raise UserError(f'{file.name}: is of a run with other {different}; give the same arguments '
                            'and images to continue it, or leave out --resume to start again')
        offset = len(first)
        for line in file:
            if not line.endswith(b'\n'):
                break
            try:
                image, step = json.loads(line)['step']
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(f'{file.name}: byte {offset}: is no step of a run ({error!r}); leave out --resume to '
                                'start again') from error
            self._spots[image, step] = file, offset, len(line)
            offset += len(line)
        if file.writable():
            file.truncate(offset)
            file.seek(offset)
        return True

    def include(self, path: Path) -> None:
        """Take in the steps that another process of this run has recorded until now.

        Raises:
            UserError: the file is broken, or of another run.
        """
        if path.exists():
            file = open(path, 'rb')
            self._others.append(file)
            try:
                self._read(file)
            except UserError:
                self.close()
                raise

    def _write(self, line: str) -> int:
        data = line.encode() + b'\n'
        self._file.write(data)
        self._file.flush()
        return len(data)

    def __contains__(self, step: Step) -> bool:
        return step in self._spots

    def __len__(self) -> int:
        return len(self._spots)

    def add(self, step: Step, cells: Sequence[Cell], **facts: Any) -> None:
        """Record a finished step with what it found, and further facts.

        Raises:
            UserError: the disk is full.
        """
        self.add_record(record_of(step, cells, **facts))

    def add_record(self, record: Mapping[str, Any]) -> None:
        """Record a finished step that is plain data already, see :func:`record_of`.

        Raises:
            UserError: the disk is full.
        """
        try:
            self._file.seek(0, os.SEEK_END)
            offset = self._file.tell()
            length = self._write(json.dumps(record))
        except OSError as error:
            raise UserError(f'{self.path}: cannot be written ({error.strerror or error}); free some space, then go on '
                            'with --resume') from error
        image, number = record['step']
        self._spots[image, number] = self._file, offset, length

    def record(self, step: Step) -> dict[str, Any]:
        """The facts of a step; its cells under ``cells``, as plain data."""
        file, offset, length = self._spots[step]
        file.seek(offset)
        found: dict[str, Any] = json.loads(file.read(length))
        return found

    def cells(self, step: Step) -> list[Cell]:
        """The cells that a step found."""
        return [cell_from_dict(cell) for cell in self.record(step)['cells']]

    def close(self) -> None:
        """Close the file; it stays."""
        for file in (self._file, *self._others):
            with suppress(OSError):  # it tries once more to write what the full disk refused, which was reported
                file.close()

    def remove(self) -> None:
        """Close and remove the file, after the run has written its results."""
        self.close()
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Journal:
        """The journal itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        """Close."""
        self.close()


def _difference(first: bytes, head: str) -> str:
    """Names of the settings that differ, for the message."""
    try:
        before, now = (dict(read['settings'], format=read['format']) for read in (json.loads(first), json.loads(head)))
        names = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
    except (ValueError, KeyError, TypeError, AttributeError):
        names = []
    return ', '.join(names) or 'settings'
