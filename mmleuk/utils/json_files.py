"""Read JSON with errors that name line and column, and write it whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

from mmengine.fileio import get

from mmleuk.errors import UserError
from mmleuk.utils.files import write_atomic
from mmleuk.utils.text_files import decode_text


def read_json(path: str | Path, backend_args: dict | None = None) -> object:
    """Parsed content of a JSON file.

    Raises:
        UserError: the file is missing or unreadable, isn't text or JSON, or is nested too deeply. The message names
            line and column if possible. A byte order mark is skipped.
    """
    try:
        return json.loads(decode_text(get(path, backend_args=backend_args)))
    except json.JSONDecodeError as error:
        if error.msg == 'Extra data' and error.colno == 1:
            raise UserError(f'{path}: line {error.lineno}: a second record begins, so this is JSON Lines and not one '
                            'JSON; write the file again as one JSON') from error
        raise UserError(f'{path}: line {error.lineno}, column {error.colno}: not valid JSON ({error.msg}); '
                        'correct or download the file again') from error
    except UnicodeDecodeError as error:
        if error.object.startswith((b'\x1f\x8b', b'PK')):
            raise UserError(f'{path}: is compressed; unpack it and name the JSON file in it') from error
        raise UserError(f'{path}: byte {error.start}: not UTF-8 text, so not JSON; save it as UTF-8, or name the '
                        'annotation file') from error
    except (RecursionError, ValueError) as error:  # nested too deeply; a number of thousands of digits
        raise UserError(f'{path}: cannot be read as JSON ({error}); correct the file') from error
    except FileNotFoundError as error:
        raise UserError(f'{path}: no such file; set data_root (or the variable MMLEUK_DATA) and ann_file to where '
                        'the annotations lie') from error
    except OSError as error:
        raise UserError(f'{path}: cannot be read ({error.strerror}); check the path and its permissions') from error


def write_json(path: str | Path, data: object) -> None:
    """Write ``data`` to ``path``, whole or not at all (:func:`mmleuk.utils.files.write_atomic`).

    Raises:
        UserError: the folder cannot be made or written, or the disk is full.
    """
    write_atomic(path, json.dumps(data))
