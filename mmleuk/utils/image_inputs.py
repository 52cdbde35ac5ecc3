"""List the images of a run, and check that they can be read before anything is computed or written."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mmleuk.errors import UserError
from mmleuk.utils.image_files import SUFFIXES, decode_image, files_below, read_image_file
from mmleuk.utils.progress import progress
from mmleuk.utils.words import plural_n

_GLOB_SIGNS = frozenset('*?[')


def list_images(inputs: str | Path | Iterable[str | Path], skip: str | Path | None = None,
                suffixes: tuple[str, ...] = SUFFIXES) -> list[Path]:
    """Image files of files, folders (searched recursively, sorted) and globs, each once, in order.

    Args:
        inputs: one or several of them. A name that exists is never read as a glob.
        skip: a folder left out of the search (the output of the run).
        suffixes: of the files that folders and globs are searched for.

    Raises:
        UserError: an input doesn't exist, or has no image. The message names it.
    """
    several = [inputs] if isinstance(inputs, (str, Path)) else list(inputs)
    if not several:
        raise UserError('no input: name image files, folders or globs')
    found: dict[str, Path] = {}
    for item in several:
        for path in _expand(Path(item), None if skip is None else Path(skip).resolve(), suffixes):
            found.setdefault(os.path.abspath(path), path)
    return list(found.values())


def name_images(paths: Sequence[Path]) -> list[str]:
    """Unique names of files: their paths relative to the deepest common folder, with '/'."""
    absolute = [Path(os.path.abspath(path)) for path in paths]
    if not absolute:
        return []
    root = os.path.commonpath([path.parent for path in absolute])
    return [path.relative_to(root).as_posix() for path in absolute]


def check_images(paths: Sequence[Path]) -> None:
    """Decode every image once (in threads), as the run does, to find unreadable ones before a long run.

    Raises:
        UserError: a file can't be read. The message names the first one, the reason and the number of others.
    """
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        errors = [error for error in progress(pool.map(_image_error, paths), total=len(paths), desc='Checking images')
                  if error]
    if errors:
        others = f' (and {plural_n(len(errors) - 1, "other file")})' if len(errors) > 1 else ''
        raise UserError(f'{errors[0]}{others}; nothing has been written')


def _image_error(path: str | Path) -> str | None:
    try:
        decode_image(read_image_file(str(path)), str(path))
    except UserError as error:
        return str(error)
    return None


def _expand(path: Path, skip: Path | None, suffixes: tuple[str, ...]) -> list[Path]:
    if path.is_dir():
        images = [p for p in files_below(path, suffixes) if not _inside(p, skip)]
        if not images:
            raise UserError(f'{path}: no image in this folder; looked for {", ".join(suffixes)}')
        return images
    if path.is_file():
        return [path]
    if path.exists():
        raise UserError(f'{path}: is a device or a pipe, not a file; name image files, folders or globs')
    if _GLOB_SIGNS & set(str(path)):
        matches = [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]
        images = [p for p in matches if _is_image(p, suffixes) and not _inside(p, skip)]
        if not images:
            raise UserError(f'{path}: this pattern matches no image file')
        return images
    raise UserError(f'{path}: no such file or folder')


def _is_image(path: Path, suffixes: tuple[str, ...]) -> bool:
    # A leading dot marks remains of other programs, such as ._film.png from a Mac.
    return path.suffix.lower() in suffixes and not path.name.startswith('.') and path.is_file()


def _inside(path: Path, folder: Path | None) -> bool:
    return folder is not None and folder in path.resolve().parents
