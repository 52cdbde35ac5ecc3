"""Reading JSON with errors that say where, and writing it so that no half file ever stands there."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from mmengine.fileio import get_text

from mmleuk.errors import UserError


def read_json(path: str | Path, backend_args: dict | None = None) -> object:
    """Parsed content of a JSON file.

    Raises:
        UserError: the file is missing, unreadable, no text or no JSON; the message names line and column.
    """
    try:
        return json.loads(get_text(path, backend_args=backend_args))
    except json.JSONDecodeError as error:
        raise UserError(f'{path}: line {error.lineno}, column {error.colno}: not valid JSON ({error.msg}); '
                        'mend or download the file again') from error
    except UnicodeDecodeError as error:
        raise UserError(f'{path}: byte {error.start}: not UTF-8 text, so not JSON; '
                        'point ann_file at the annotation file') from error
    except FileNotFoundError as error:
        raise UserError(f'{path}: no such file; set data_root (or the variable MMLEUK_DATA) and ann_file to where '
                        'the annotations lie') from error
    except OSError as error:
        raise UserError(f'{path}: cannot be read ({error.strerror}); check the path and its permissions') from error


def write_json(path: str | Path, data: object) -> None:
    """Write ``data`` to ``path`` through a temporary name, so that a broken run leaves the old file whole.

    Raises:
        UserError: the folder cannot be made or written, or the disk is full.
    """
    path = Path(path)
    temporary = ''
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile('w', encoding='utf-8', dir=path.parent, prefix=f'.{path.name}.',
                                         delete=False) as file:
            temporary = file.name
            json.dump(data, file)
        os.chmod(temporary, 0o666 & ~_umask())  # temporary files start private; an annotation file needn't be
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(f'{path}: cannot be written ({error.strerror}); choose another place or free some '
                        'space') from error
    finally:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
