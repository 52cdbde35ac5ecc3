"""Small pictures of single cells, as data URIs that a page can carry within itself."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

import numpy as np
from PIL import Image

from mmleuk.errors import UserError
from mmleuk.pictures.drawing import load_image
from mmleuk.slides.readers import is_large, open_slide
from mmleuk.structures.prediction import BankEntry, Cell, FailedImage

CROP_PX = 112
_MARGIN = 0.2
_JPEG_QUALITY = 85

Box = tuple[int, int, int, int]
CropKey = tuple[str, int]
"""Image name and position of the cell in its prediction."""


def crop_key(entry: BankEntry) -> CropKey:
    """What :func:`make_crops` files the picture of a cell under."""
    return entry.prediction.image, entry.index


def make_crops(entries: Iterable[BankEntry]) -> tuple[dict[CropKey, str], list[FailedImage]]:
    """Data URI per cell, and the images that can't be read any more; their cells get none, as those from arrays.

    Each image is read once; of a large one only the cells.
    """
    crops: dict[CropKey, str] = {}
    failed: list[FailedImage] = []
    on_disk = [entry for entry in entries if entry.prediction.path]
    for path, members in groupby(sorted(on_disk, key=crop_key), key=lambda entry: entry.prediction.path):
        own = list(members)
        try:
            tiles = cell_pictures(str(path), [entry.cell for entry in own], own[0].prediction.intensity)
            crops |= {crop_key(own[index]): data_uri(tile) for index, tile in tiles}
        except UserError as error:
            failed.append(FailedImage(own[0].prediction.image, f'no pictures of its cells: {error}'))
    return crops, failed


def cell_pictures(path: str, cells: Sequence[Cell],
                  intensity: str | None = None) -> Iterator[tuple[int, Image.Image]]:
    """Index and picture of each cell of an image, from top to bottom, as large files are decoded.

    Args:
        path: of the image; a small one is read at once, of a large one only the cells.
        cells: whose pictures are wanted.
        intensity: how samples of other than 8 bits become 8.

    Raises:
        UserError: the image can't be read.
    """
    order = sorted(range(len(cells)), key=lambda index: _square_around(cells[index])[1])
    if intensity is None and not is_large(path):
        image = load_image(path)
        yield from ((index, crop_cell(image, cells[index])) for index in order)
        return
    with open_slide(path, intensity) as slide:
        def cut(box: Box) -> Image.Image:
            pixels = slide.read(box[0], box[1], box[2] - box[0], box[3] - box[1])
            return Image.fromarray(np.ascontiguousarray(pixels[..., ::-1]))

        yield from ((index, _square(cells[index], slide.size_hw[::-1], cut)) for index in order)


def crop_cell(image: Image.Image, cell: Cell) -> Image.Image:
    """Square around the cell with a margin, 112 px wide; grey where it reaches beyond the image."""
    return _square(cell, image.size, image.crop)


def _square_around(cell: Cell) -> Box:
    x1, y1, x2, y2 = cell.box
    half = max(x2 - x1, y2 - y1, 2.0) * (0.5 + _MARGIN)
    centre_x, centre_y = (x1 + x2) / 2, (y1 + y2) / 2
    return round(centre_x - half), round(centre_y - half), round(centre_x + half), round(centre_y + half)


def _square(cell: Cell, size_wh: tuple[int, int], cut: Callable[[Box], Image.Image]) -> Image.Image:
    square = _square_around(cell)
    tile = Image.new('RGB', (square[2] - square[0], square[3] - square[1]), (128, 128, 128))
    visible = (max(0, square[0]), max(0, square[1]), min(size_wh[0], square[2]), min(size_wh[1], square[3]))
    if visible[0] < visible[2] and visible[1] < visible[3]:
        tile.paste(cut(visible), (visible[0] - square[0], visible[1] - square[1]))
    return tile.resize((CROP_PX, CROP_PX), Image.Resampling.BICUBIC)


def data_uri(image: Image.Image) -> str:
    """JPEG as a data URI."""
    buffer = io.BytesIO()
    image.save(buffer, 'JPEG', quality=_JPEG_QUALITY)
    return 'data:image/jpeg;base64,' + base64.b64encode(buffer.getvalue()).decode('ascii')
