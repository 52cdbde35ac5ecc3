"""Pairs of cells as one picture: left as it is, right with the difference, words beside them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from mmleuk.pictures.text import LINE_PX, font

_GAP, _TEXT_PX, _COLUMNS = 12, 340, 2
_LINE_LENGTH = 36


@dataclass(frozen=True)
class PairPicture:
    """Two pictures of equal size, a heading, and lines below it."""

    left: Image.Image
    right: Image.Image
    heading: str
    lines: tuple[str, ...] = ()


def pair_sheet(pairs: Sequence[PairPicture]) -> Image.Image:
    """All pairs in two columns on white; at least one.

    Example:
        >>> cell = Image.new('RGB', (112, 112))
        >>> pair_sheet([PairPicture(cell, cell, 'granule colour pink → purple')]).size
        (600, 136)
    """
    width, height = pairs[0].left.size
    texts = [_lines(pair) for pair in pairs]
    cell_w = 2 * width + 3 * _GAP + _TEXT_PX
    cell_h = max(height, LINE_PX * max(map(len, texts))) + 2 * _GAP
    columns = min(_COLUMNS, len(pairs))
    sheet = Image.new('RGB', (columns * cell_w, -(-len(pairs) // columns) * cell_h), 'white')
    draw = ImageDraw.Draw(sheet)
    for number, (pair, words) in enumerate(zip(pairs, texts)):
        x, y = (number % columns) * cell_w + _GAP, (number // columns) * cell_h + _GAP
        sheet.paste(pair.left, (x, y))
        sheet.paste(pair.right, (x + width + _GAP, y))
        for row, (text, bold) in enumerate(words):
            draw.text((x + 2 * (width + _GAP), y + row * LINE_PX), text, fill=(20, 20, 20), font=font(bold))
    return sheet


def _lines(pair: PairPicture) -> list[tuple[str, bool]]:
    """The words beside a pair, and whether they are bold."""
    heading = [(line, True) for line in textwrap.wrap(pair.heading, _LINE_LENGTH)]
    return heading + [(part, False) for line in pair.lines for part in textwrap.wrap(line, _LINE_LENGTH)]
