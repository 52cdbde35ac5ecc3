"""Pictures of what Grad-CAM finds: a row per cell, a heat map per attribute over the image."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mmleuk.pictures.text import LINE_PX, font

TILE_PX = 120
_GAP = 8
_LINE_LENGTH = 12
_NAME_LINES, _VALUE_LINES = 3, 3
_OPACITY = 0.6


@dataclass(frozen=True)
class CellRow:
    """One cell's row.

    Args:
        name: of the cell.
        picture: of it, (H, W, 3) uint8 RGB.
        maps: (A, h, w) in [0, 1], over the whole picture.
        values: A texts below the maps.
    """

    name: str
    picture: NDArray[np.uint8]
    maps: NDArray[np.floating]
    values: tuple[str, ...]


def overlay(picture: Image.Image, heat: NDArray[np.floating]) -> Image.Image:
    """The picture with a heat map over it: unchanged where the heat is 0, mostly red where it is 1.

    Args:
        picture: RGB.
        heat: (h, w) in [0, 1]; stretched over the picture.
    """
    wide = Image.fromarray(np.asarray(heat, np.float32)).resize(picture.size, Image.Resampling.BILINEAR)
    share = np.asarray(wide).clip(0, 1)
    colours = colormaps['turbo'](share)[..., :3] * 255
    opacity = _OPACITY * share[..., None]
    return Image.fromarray((np.asarray(picture) * (1 - opacity) + colours * opacity).round().astype(np.uint8))


def activation_sheet(rows: Sequence[CellRow], attributes: Sequence[str]) -> Image.Image:
    """Cells below each other: the image, then one tile per attribute with the predicted value and its probability.

    Args:
        rows: at least one.
        attributes: A names, at the top.
    """
    step_x, head = TILE_PX + _GAP, _NAME_LINES * LINE_PX + _GAP
    step_y = TILE_PX + _VALUE_LINES * LINE_PX + _GAP
    sheet = Image.new('RGB', (_GAP + (len(attributes) + 1) * step_x, head + _GAP + len(rows) * step_y), 'white')
    for column, name in enumerate(attributes, start=1):
        _write(sheet, _GAP + column * step_x, _GAP // 2, name, _NAME_LINES, bold=True)
    for number, row in enumerate(rows):
        y = head + number * step_y
        picture = Image.fromarray(row.picture).resize((TILE_PX, TILE_PX), Image.Resampling.BICUBIC)
        tiles = [picture, *(overlay(picture, heat) for heat in row.maps)]
        for column, (tile, text) in enumerate(zip(tiles, (row.name, *row.values))):
            sheet.paste(tile, (_GAP + column * step_x, y))
            _write(sheet, _GAP + column * step_x, y + TILE_PX + 2, text, _VALUE_LINES)
    return sheet


def _write(sheet: Image.Image, x: int, y: int, text: str, most_lines: int, bold: bool = False) -> None:
    lines = [part for line in text.split('\n') for part in textwrap.wrap(line, _LINE_LENGTH)]
    for number, line in enumerate(lines[:most_lines]):
        ImageDraw.Draw(sheet).text((x, y + number * LINE_PX), line, fill=(20, 20, 20), font=font(bold))
