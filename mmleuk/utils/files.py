"""Writing files so that each appears whole or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PurePosixPath

from mmleuk.errors import UserError


def ensure_writable(folder: str | Path) -> Path:
    """Make ``folder`` and try a file in it, so that a long run doesn't fail at its end.

    Raises:
        UserError: it is a file, can't be made, or nothing can be written into it.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(f'{folder}: cannot write here ({error.strerror or error}); choose another folder') from error
    return folder


def check_target(path: str | Path) -> None:
    """Refuse a file that can't be written, before a long run; makes no folder.

    Raises:
        UserError: it is a folder, or nothing can be written into the nearest folder above it that is there.
    """
    path = Path(path).absolute()
    above = next(folder for folder in path.parents if folder.exists())
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, 'it is a folder')
        with tempfile.TemporaryFile(dir=above):
            pass
    except OSError as error:
        raise UserError(f'{path}: cannot be written ({error.strerror or error}); choose another place') from error


def write_atomic(path: str | Path, content: str | bytes) -> Path:
    """Write beside ``path``, then rename: readers and full disks never leave half a file under its name.

    Raises:
        UserError: the folder is not writable or the disk is full; an older file stays as it was.
    """
    path = Path(path)
    # File names may hold bytes that are no UTF-8; they must not stop the rest from being written.
    data = content.encode('utf-8', errors='replace') if isinstance(content, str) else content
    temporary = path.with_name(f'.{path.name}.{os.getpid()}.part')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except OSError as error:
        discard(temporary)
        raise UserError(f'{path}: cannot be written ({error.strerror or error}); '
                        'make room or choose another folder') from error
    return path


def discard(fragment: str | Path) -> None:
    """Remove what a failed write left, if it can be: the error to tell is the write's."""
    with suppress(OSError):
        Path(fragment).unlink()


def remove_files(folder: Path, names: Iterable[str]) -> None:
    """Remove what an earlier run wrote into a folder, with folders below it that this empties.

    Args:
        folder: of the run; it stays itself.
        names: of the files, below the folder and with '/'; what is gone already is fine.

    Raises:
        UserError: a file can't be removed.
    """
    for name in names:
        try:
            (folder / name).unlink(missing_ok=True)
            for above in PurePosixPath(name).parents[:-1]:
                place = folder / above
                if place.is_dir() and not place.is_symlink() and not any(place.iterdir()):
                    place.rmdir()
        except OSError as error:
            raise UserError(f'{folder / name}: of an earlier run, cannot be removed ({error.strerror or error}); '
                            'remove it, or choose another folder') from error
