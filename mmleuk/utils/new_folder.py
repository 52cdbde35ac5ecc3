"""Folders that are there whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmleuk.errors import UserError


@contextmanager
def new_folder(target: str | Path) -> Iterator[Path]:
    """A folder beside ``target`` to write into; it takes the target's place at the end, or vanishes on any error.

    Raises:
        UserError: the target is a file or a folder that holds something, or cannot be written.

    Example:
        >>> import tempfile
        >>> parent = Path(tempfile.mkdtemp())
        >>> with new_folder(parent / 'out') as folder:
        ...     _ = (folder / 'a.txt').write_text('whole')
        >>> [path.name for path in parent.iterdir()], (parent / 'out' / 'a.txt').read_text()
        (['out'], 'whole')
    """
    target = Path(target)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f'{target}: is there already{"" if target.is_dir() else " and is a file"}; name a new folder, '
                        'or remove this one')
    building = target.parent / f'.{target.name}.writing-{os.getpid()}'
    try:
        building.mkdir(parents=True)
        yield building
        building.rename(target)
    except OSError as error:
        raise UserError(f'{target}: cannot be written ({error.strerror or error}); choose another place or free some '
                        'space. Nothing was kept') from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a file of a folder that is being built, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding='utf-8')
