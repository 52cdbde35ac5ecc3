"""Small pictures of single cells, as data URIs that a page can carry within itself."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from itertools import groupby

from PIL import Image

from mmleuk.errors import UserError
from mmleuk.pictures.drawing import load_image
from mmleuk.structures.prediction import BankEntry, Cell, FailedImage

CROP_PX = 112
_MARGIN = 0.2
_JPEG_QUALITY = 85

CropKey = tuple[str, int]
"""Image name and position of the cell in its prediction."""


def crop_key(entry: BankEntry) -> CropKey:
    """What :func:`make_crops` files the picture of a cell under."""
    return entry.prediction.image, entry.index


def make_crops(entries: Iterable[BankEntry]) -> tuple[dict[CropKey, str], list[FailedImage]]:
    """Data URI per cell, and the images that can't be read any more; their cells get none, as those from arrays.

    Each image is read once.
    """
    crops: dict[CropKey, str] = {}
    failed: list[FailedImage] = []
    on_disk = [entry for entry in entries if entry.prediction.path]
    for path, members in groupby(sorted(on_disk, key=crop_key), key=lambda entry: entry.prediction.path):
        cells = list(members)
        try:
            image = load_image(str(path))
        except UserError as error:
            failed.append(FailedImage(cells[0].prediction.image, f'no pictures of its cells: {error}'))
            continue
        crops |= {crop_key(entry): data_uri(crop_cell(image, entry.cell)) for entry in cells}
    return crops, failed


def crop_cell(image: Image.Image, cell: Cell) -> Image.Image:
    """Square around the cell with a margin, 112 px wide; grey where it reaches beyond the image."""
    x1, y1, x2, y2 = cell.box
    half = max(x2 - x1, y2 - y1, 2.0) * (0.5 + _MARGIN)
    centre_x, centre_y = (x1 + x2) / 2, (y1 + y2) / 2
    square = (round(centre_x - half), round(centre_y - half), round(centre_x + half), round(centre_y + half))
    tile = Image.new('RGB', (square[2] - square[0], square[3] - square[1]), (128, 128, 128))
    visible = (max(0, square[0]), max(0, square[1]), min(image.width, square[2]), min(image.height, square[3]))
    if visible[0] < visible[2] and visible[1] < visible[3]:
        tile.paste(image.crop(visible), (visible[0] - square[0], visible[1] - square[1]))
    return tile.resize((CROP_PX, CROP_PX), Image.Resampling.BICUBIC)


def data_uri(image: Image.Image) -> str:
    """JPEG as a data URI."""
    buffer = io.BytesIO()
    image.save(buffer, 'JPEG', quality=_JPEG_QUALITY)
    return 'data:image/jpeg;base64,' + base64.b64encode(buffer.getvalue()).decode('ascii')
