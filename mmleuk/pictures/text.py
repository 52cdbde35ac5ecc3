"""Text in pictures: one font that knows more than ASCII and is always installed (it comes with matplotlib)."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib
from PIL import ImageFont

FONT_PX = 16
LINE_PX = FONT_PX + 3


@functools.lru_cache(maxsize=4)
def font(bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans at 16 px."""
    name = 'DejaVuSans-Bold.ttf' if bold else 'DejaVuSans.ttf'
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / 'fonts' / 'ttf' / name, FONT_PX)


@functools.lru_cache(maxsize=4096)  # a film's cards repeat their words
def width_px(text: str, bold: bool = False) -> float:
    """Width of one line of text."""
    return font(bold).getlength(text)


@contextmanager
def plain_text() -> Iterator[None]:
    """While matplotlib draws, also as a decorator: a $ in somebody's name is a $ and starts no formula."""
    with matplotlib.rc_context({'text.parse_math': False}):
        yield
