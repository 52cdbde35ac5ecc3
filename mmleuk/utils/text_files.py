"""Reading text that other programs wrote."""

from __future__ import annotations

import codecs
from pathlib import Path

from mmleuk.errors import UserError


def decode_text(content: bytes) -> str:
    """Text of a file in UTF-8, or in UTF-16 where a byte order mark says so; the mark is no part of the text.

    Windows editors put the mark before UTF-8, PowerShell writes UTF-16.

    Raises:
        UnicodeDecodeError: another encoding, or no text.

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
        fix: what to do when it is missing or unreadable.

    Raises:
        UserError: missing, unreadable or in another encoding; names the file.
    """
    try:
        return decode_text(Path(path).read_bytes())
    except OSError as error:
        raise UserError(f'{path}: cannot be read ({error.strerror}); {fix}') from error
    except UnicodeDecodeError as error:
        raise UserError(f'{path}: byte {error.start}: cannot be read as text in UTF-8; save it as UTF-8') from error
