"""What runs of ``mmleuk infer`` wrote into a folder, so that the next one takes away its remains and nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path, PurePosixPath

from mmleuk.errors import UserError
from mmleuk.utils.files import remove_files, write_atomic

RECORD = '.mmleuk_infer.json'
PICTURES = 'pictures'
_FILES = ('predictions.json', 'predictions.csv', 'report.html')
_FORMAT = 'mmleuk.infer/1'

Stamp = list[int]
"""A file's size in bytes and time of change in ns; a record has None for one that its run had yet to write."""


def files_of_runs(folder: Path) -> list[str]:
    """Names of files below the folder that its record says were written by us; none where it says nothing.

    Only names that a run gives are believed, whoever wrote the record. A file that was changed or replaced since it was
    written is no longer ours.
    """
    return list(_ours(folder))


def check_inputs_stay(folder: Path, names: Iterable[str], inputs: Iterable[Path]) -> None:
    """Refuse pictures that would overwrite the images they are drawn from.

    Raises:
        UserError: an image lies where the run would draw one.
    """
    images = {path.resolve() for path in inputs}
    for name in names:
        if (folder / name).resolve() in images:
            raise UserError(f'{folder / name}: is an input, and its picture would overwrite it; choose another '
                            'folder with --out-dir, or give --no-pictures')


def begin_run(folder: Path, names: Iterable[str]) -> None:
    """Note the pictures that a run will draw beside what earlier ones wrote: killed, its files are known all the same.

    A file that is there already and isn't an earlier run's becomes ours only when it has been written.

    Raises:
        UserError: the folder is not writable.
    """
    ours = _ours(folder)
    drawn = (name for name in names if name in ours or not os.path.lexists(folder / name))
    _record(folder, {**ours, **dict.fromkeys(drawn)})


def end_run(folder: Path, written: Collection[str]) -> None:
    """Remove what earlier runs wrote and this one didn't, with folders that this empties: it would pass for this run's.

    Args:
        folder: of the run.
        written: names of all that it wrote, below the folder and with '/'.

    Raises:
        UserError: a file can't be removed.
    """
    kept = set(written)
    remove_files(folder, [name for name in files_of_runs(folder) if name not in kept])
    _record(folder, {name: _stamp(folder / name) for name in written})


def _ours(folder: Path) -> dict[str, Stamp | None]:
    try:
        record = json.loads((folder / RECORD).read_text(encoding='utf-8'))
    except (OSError, ValueError):  # none, or a broken one: whose the files are is then unknown, and they stay
        return {}
    files = record.get('files') if isinstance(record, dict) and record.get('format') == _FORMAT else None
    return {name: stamp for name, stamp in files.items() if _is_ours(name) and (
        stamp is None or stamp == _stamp(folder / name))} if isinstance(files, dict) else {}


def _stamp(path: Path) -> Stamp | None:
    """What changes with a file's content; None where there is none."""
    try:
        stat = path.lstat()
    except OSError:
        return None
    return [stat.st_size, stat.st_mtime_ns]


def _record(folder: Path, stamps: Mapping[str, Stamp | None]) -> None:
    # As ASCII: file names may hold bytes that are no UTF-8.
    write_atomic(folder / RECORD, json.dumps(dict(format=_FORMAT, files=stamps)) + '\n')


def _is_ours(name: str) -> bool:
    path = PurePosixPath(name)
    is_picture = path.parts[:1] == (PICTURES,) and len(path.parts) > 1 and path.suffix == '.jpg'
    return name in _FILES or is_picture and '..' not in path.parts
