"""Read text files of other programs."""

from __future__ import annotations

import codecs
from pathlib import Path

from mmleuk.errors import UserError


def decode_text(content: bytes) -> str:
    """Text of a file in UTF-8, or in UTF-16 if it starts with its byte order mark; the mark is removed.

    Windows editors write a mark before UTF-8. PowerShell writes UTF-16.

    Raises:
        UnicodeDecodeError: the encoding is another one, or the file isn't text.

    Example:
        >>> decode_text(codecs.BOM_UTF8 + b'WBC'), decode_text('WBC'.encode('utf-16'))
        ('WBC', 'WBC')
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode('utf-16')
    return content.decode('utf-8-sig')


def read_text(path: str | Path, fix: str) -> str:
    """Content of a text file.

    Args:
        path: the file.
        fix: end of the message if the file is missing or unreadable: what to do.

    Raises:
        UserError: the file is missing, unreadable or in another encoding. The message names it.
    """
    try:
        return decode_text(Path(path).read_bytes())
    except OSError as error:
        raise UserError(f'{path}: cannot be read ({error.strerror}); {fix}') from error
    except UnicodeDecodeError as error:
        raise UserError(f'{path}: byte {error.start}: cannot be read as text in UTF-8; save it as UTF-8') from error
