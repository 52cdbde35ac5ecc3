"""Write folders so that each appears whole or not at all."""

from __future__ import annotations

import fcntl
import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmleuk.errors import UserError
from mmleuk.utils.files import utf8


@contextmanager
def new_folder(target: str | Path, *, replace: bool = False, doing: str = 'unfinished') -> Iterator[Path]:
    """A folder beside ``target`` to write into; at the end it is renamed to the target, or removed after an error.

    Until then its name is ``.NAME.DOING-PID``, and it is locked. Only a killed run leaves such a folder behind;
    the next run with the same target removes it.

    Args:
        target: the new folder. A link stays a link: the folder that it points to is made.
        replace: replace a folder that isn't empty; the old one is removed at the end.
        doing: part of the temporary name.

    Raises:
        UserError: the target is a file or, without ``replace``, a folder that isn't empty; or it can't be written.

    Example:
        >>> import tempfile
        >>> parent = Path(tempfile.mkdtemp())
        >>> with new_folder(parent / 'out') as folder:
        ...     _ = (folder / 'a.txt').write_text('whole')
        >>> [path.name for path in parent.iterdir()], (parent / 'out' / 'a.txt').read_text()
        (['out'], 'whole')
    """
    real = Path(os.path.realpath(target))
    if real.exists() and (not real.is_dir() or (any(real.iterdir()) and not replace)):
        raise UserError(f'{target}: exists already{"" if real.is_dir() else " and is a file"}; name a new folder, '
                        'or remove this one')
    prefix = f'.{real.name[:100]}.{doing}-'
    building, lock = real.with_name(f'{prefix}{os.getpid()}'), None
    try:
        real.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(real.parent, prefix)
        building.mkdir()
        lock = os.open(building, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield building
        _take_name(building, real, replace)
    except OSError as error:
        raise UserError(f'{target}: cannot be written ({error.strerror or error}); choose another folder or free some '
                        'space. Nothing was kept') from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _take_name(building: Path, target: Path, replace: bool) -> None:
    """Rename, and replace an existing folder; it stays if the renaming fails."""
    before = building.with_name(f'{building.name}-before')
    if replace and target.exists():
        target.rename(before)
    try:
        building.rename(target)
    except OSError:
        if before.exists():
            before.rename(target)
        raise
    shutil.rmtree(before, ignore_errors=True)


def _remove_leftovers(parent: Path, prefix: str) -> None:
    """Remove unfinished folders that no process has locked."""
    for path in parent.glob(f'{glob.escape(prefix)}[0-9]*'):
        try:
            lock = os.open(path, os.O_RDONLY)
        except OSError:  # another run was faster, or it isn't ours to remove
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue  # its run is alive
        else:
            shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(lock)


def write_text(path: Path, text: str) -> None:
    """Write a file into an unfinished folder, and make the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(utf8(text))
