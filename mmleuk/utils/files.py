"""Write files so that each appears whole or not at all."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from mmleuk.errors import UserError


def ensure_writable(folder: str | Path) -> Path:
    """Make ``folder`` and write a test file into it, so that a long run doesn't fail at its end.

    Raises:
        UserError: it is a file, or can't be made or written into.
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
        UserError: it is a folder, a device or a pipe, or the nearest existing folder above it can't be written into.
    """
    path = _real_file(path)
    above = next(folder for folder in path.absolute().parents if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=above):
            pass
    except OSError as error:
        raise UserError(f'{path}: cannot be written ({error.strerror or error}); choose another path') from error


def check_new_file(path: str | Path) -> None:
    """Refuse a file that is there already, or can't be written.

    Raises:
        UserError: see :func:`check_target`; or the path exists.
    """
    check_target(path)
    if os.path.lexists(path):
        raise UserError(f'{path}: is there already; name a new file, or remove this one')


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path beside ``path`` to write to; at the end it is renamed to ``path``, or removed after an error.

    Nobody ever sees an incomplete file at ``path``, also if the process is killed or the disk is full. The folder is
    made. A link stays a link: the file that it points to is replaced. An existing file keeps its permissions. A killed
    run leaves its temporary file; the next one that writes ``path`` removes it.

    Raises:
        UserError: the path is a folder, a device or a pipe, the folder is not writable, or the disk is full. An
            existing file is then not changed.

    Example:
        >>> folder = Path(tempfile.mkdtemp())
        >>> with replacing(folder / 'a.txt') as temporary:
        ...     _ = temporary.write_text('whole')
        >>> [path.name for path in folder.iterdir()]
        ['a.txt']
    """
    target = _real_file(path)
    # Keep the suffix: some writers choose the format by it.
    temporary = target.with_name(f'.{target.stem[:100]}.{os.getpid()}.part{target.suffix}')
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(target)
        yield temporary
        if target.exists():
            shutil.copymode(target, temporary)
        with open(temporary, 'rb') as file:
            os.fsync(file.fileno())  # after a power cut the new name must not point to an empty file
        os.replace(temporary, target)
    except OSError as error:
        raise UserError(f'{path}: cannot be written ({error.strerror or error}); free some space or choose another '
                        'folder') from error
    finally:
        discard(temporary)


def write_atomic(path: str | Path, content: str | bytes) -> Path:
    """Write text or bytes by :func:`replacing`; returns the path.

    Raises:
        UserError: see :func:`replacing`.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(utf8(content) if isinstance(content, str) else content)
    return Path(path)


def utf8(text: str) -> bytes:
    """Text as files hold it. Of a file name whose bytes aren't UTF-8, these become question marks.

    >>> utf8('ä'), utf8(b'zelle_\\xe4.png'.decode(errors='surrogateescape'))
    (b'\\xc3\\xa4', b'zelle_?.png')
    """
    return text.encode('utf-8', errors='replace')


def _real_file(path: str | Path) -> Path:
    """The file that ``path`` names, behind links; refuses an existing path that isn't a file."""
    try:
        real = Path(os.path.realpath(path))
        is_link, exists, is_file, is_folder = real.is_symlink(), real.exists(), real.is_file(), real.is_dir()
    except (OSError, ValueError) as error:
        raise UserError(f'{path}: cannot be written ({getattr(error, "strerror", None) or error}); choose another '
                        'path') from error
    if is_link:
        raise UserError(f'{path}: is a link that leads back to itself; choose another path')
    if exists and not is_file:
        raise UserError(f'{path}: is {"a folder" if is_folder else "a device or a pipe"}, not a file; choose another '
                        'path')
    return real


def _remove_leftovers(target: Path) -> None:
    """Remove what killed runs left of this target; a file of a living process stays."""
    pattern = re.compile(rf'\.{re.escape(target.stem[:100])}\.(\d+)\.part{re.escape(target.suffix)}')
    for path in target.parent.iterdir():
        match = pattern.fullmatch(path.name)
        if match and not _is_alive(int(match[1])):
            discard(path)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # alive, and somebody else's
        return True
    return True


def discard(fragment: str | Path) -> None:
    """Remove the remains of a failed write. Ignore errors: the error of the write is reported."""
    with suppress(OSError):
        Path(fragment).unlink()


def remove_files(folder: Path, names: Iterable[str]) -> None:
    """Remove files that an earlier run wrote into a folder, and folders below it that become empty.

    Args:
        folder: of the run; it is not removed.
        names: of the files, relative to the folder and with '/'; missing ones are skipped.

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
            raise UserError(f'{folder / name}: is from an earlier run and cannot be removed '
                            f'({error.strerror or error}); remove it, or choose another folder') from error


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file's content, read in parts.

    Example:
        >>> path = Path(tempfile.mkdtemp()) / 'empty'
        >>> path.touch()
        >>> sha256_of(path)[:8]
        'e3b0c442'
    """
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
