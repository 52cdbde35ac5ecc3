"""Record the files that ``mmleuk infer`` and tools/ensemble.py write into a folder: the next run removes only those."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path, PurePosixPath

from mmleuk.errors import UserError
from mmleuk.utils.files import remove_files, write_atomic

RECORD = '.mmleuk_infer.json'
PICTURES = 'pictures'
_FILES = ('predictions.csv', 'report.html', 'table.csv', 'table.md')
_FORMAT = 'mmleuk.infer/1'

Stamp = list[int]
"""A file's size in bytes and time of change in ns; a record has None for a file that its run hasn't written yet."""


def files_of_runs(folder: Path) -> list[str]:
    """Names of files below the folder that earlier runs wrote, according to its record.

    Only names that a run can write are accepted. A file that was changed or replaced since then is no longer ours.
    """
    return list(_ours(folder))


def check_inputs_stay(folder: Path, names: Iterable[str], inputs: Iterable[Path]) -> None:
    """Refuse drawings that would overwrite input images.

    Raises:
        UserError: an input has the path of a drawing.
    """
    images = {path.resolve() for path in inputs}
    for name in names:
        if (folder / name).resolve() in images:
            raise UserError(f'{folder / name}: is an input, and its drawing would overwrite it; choose another '
                            'folder with --out-dir, or give --no-pictures')


def check_users_files_stay(folder: Path, names: Iterable[str], command: str = 'mmleuk infer',
                           option: str = '--out-dir') -> None:
    """Refuse to overwrite files that no earlier run wrote, or that were changed since.

    Args:
        folder: of the run.
        names: of all files that it would write, relative to the folder and with '/'.
        command: its name, for the message.
        option: that names the folder.

    Raises:
        UserError: a file of such a name is there.
    """
    ours = _ours(folder)
    for name in names:
        if name not in ours and os.path.exists(folder / name):
            raise UserError(f'{folder / name}: is not from {command}, or was changed since, and this run would '
                            f'overwrite it; choose another folder with {option}, or move the file')


def begin_run(folder: Path, names: Iterable[str]) -> None:
    """Record files that a run is about to write, so that they are known if it is killed.

    An existing file that no earlier run wrote becomes ours only when this run has written it.

    Raises:
        UserError: the folder is not writable.
    """
    ours = _ours(folder)
    new = (name for name in names if name in ours or not os.path.lexists(folder / name))
    _record(folder, {**ours, **dict.fromkeys(new)})


def end_run(folder: Path, written: Collection[str]) -> None:
    """Remove files of earlier runs that this run didn't write, and folders that become empty.

    Else somebody could take them for files of this run.

    Args:
        folder: of the run.
        written: names of all files that this run wrote, relative to the folder and with '/'.

    Raises:
        UserError: a file can't be removed.
    """
    kept = set(written)
    remove_files(folder, [name for name in files_of_runs(folder) if name not in kept])
    _record(folder, {name: _stamp(folder / name) for name in written})


def _ours(folder: Path) -> dict[str, Stamp | None]:
    try:
        record = json.loads((folder / RECORD).read_text(encoding='utf-8'))
    except (OSError, ValueError):  # missing, or broken: who owns the files is unknown, so they stay
        return {}
    files = record.get('files') if isinstance(record, dict) and record.get('format') == _FORMAT else None
    return {name: stamp for name, stamp in files.items() if _is_ours(name) and (
        stamp is None or stamp == _stamp(folder / name))} if isinstance(files, dict) else {}


def _stamp(path: Path) -> Stamp | None:
    """Size and time of change of a file, to notice changes; None for a missing file."""
    try:
        stat = path.lstat()
    except OSError:
        return None
    return [stat.st_size, stat.st_mtime_ns]


def _record(folder: Path, stamps: Mapping[str, Stamp | None]) -> None:
    # As ASCII: file names may have bytes that aren't UTF-8.
    write_atomic(folder / RECORD, json.dumps(dict(format=_FORMAT, files=stamps)) + '\n')


def _is_ours(name: str) -> bool:
    path = PurePosixPath(name)
    is_picture = path.parts[:1] == (PICTURES,) and len(path.parts) > 1 and path.suffix == '.jpg'
    is_run = len(path.parts) == 1 and path.suffix == '.json' and not name.startswith('.')  # predictions, or a model's
    return name in _FILES or is_run or is_picture and '..' not in path.parts
