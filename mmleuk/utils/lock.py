"""One run at a time in a folder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from mmleuk.errors import UserError


class FolderLock:
    """Lock a folder for this process; another run in the same folder gets an error at once.

    The operating system frees the lock when the process ends, also if it is killed. The lock file stays in the folder:
    if it were removed, two processes could lock two different files.

    Args:
        folder: made if it is missing.
        name: of the lock file. Runs that may share a folder use different names.
        what: the kind of run in the error message, such as 'training'.

    Raises:
        UserError: another process has locked the folder, or the lock file can't be written.

    Example:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> with FolderLock(folder):
        ...     try:
        ...         FolderLock(folder, what='training').acquire()
        ...     except UserError as error:
        ...         print(error)
        /...: another training (process ...) writes into this folder; wait for it, or choose another folder
    """

    def __init__(self, folder: str | Path, name: str = '.mmleuk.lock', what: str = 'run') -> None:
        self.folder = Path(folder)
        self.path = self.folder / name
        self.what = what
        self._file: int | None = None

    def acquire(self) -> FolderLock:
        """Take the lock, or raise."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        except OSError as error:
            raise UserError(f'{self.path}: cannot be written ({error.strerror or error}); choose another folder'
                            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(file, 32).decode('ascii', 'replace').strip() or 'unknown'
            os.close(file)
            raise UserError(f'{self.folder}: another {self.what} (process {holder}) writes into this folder; wait for '
                            'it, or choose another folder') from error
        os.truncate(file, 0)
        os.write(file, f'{os.getpid()}\n'.encode())
        self._file = file
        return self

    def fileno(self) -> int:
        """File descriptor of the lock. A child process that inherits it keeps the folder locked, too."""
        if self._file is None:
            raise ValueError(f'{self.folder} is not held')
        return self._file

    def release(self) -> None:
        """Free the folder; does nothing if it isn't locked."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> FolderLock:
        """Take the lock."""
        return self.acquire()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        """Free the folder."""
        self.release()
