"""Draw a contact sheet of the copies: a row per image, a column per factor, with boxes of what is marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mmleuk.errors import UserError
from mmleuk.utils.image_files import decode_image, read_image_file
from mmleuk.utils.json_files import read_json

SIDE = 240
_TITLE = 22
_GAP = 6
_AFFECTED, _IMPURITY, _INK = (200, 60, 0), (0, 140, 0), (40, 40, 40)


def draw_sheet(source: str | Path, images: str | Path, copies: str | Path, factors: Sequence[str],
               rows: int = 2) -> bytes:
    """A PNG of the first images that show every factor.

    Args:
        source: COCO JSON that the copies were made from.
        images: folder of its images.
        copies: folder with the factors' copies.
        factors: columns.
        rows: largest number of images.

    Raises:
        UserError: no image shows every factor.
    """
    tables: dict[str, Any] = {factor: read_json(Path(copies) / factor / 'annotations.json') for factor in factors}
    shown = [{image['id'] for image in data['images']} for data in tables.values()]
    plain: Any = read_json(source)
    chosen = [image for image in plain['images'] if all(image['id'] in ids for ids in shown)][:rows]
    if not chosen:
        raise UserError(f'{source}: no image shows every factor, so there is nothing to draw on a sheet; ask for fewer '
                        'factors, or for none')
    names = [image['file_name'] for image in chosen]
    columns = [_column('without', [_read(Path(images) / name) for name in names])]
    for factor, data in tables.items():
        folder = Path(copies) / factor / 'images'
        columns.append(_column(factor, [_marked(_read(folder / name), data, name) for name in names]))
    gap = np.full((columns[0].shape[0], _GAP, 3), 255, np.uint8)
    sheet = np.hstack([part for column in columns for part in (column, gap)][:-1])
    return cv2.imencode('.png', sheet, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()


def _read(path: Path) -> np.ndarray:
    return decode_image(read_image_file(str(path)), str(path))


def _marked(picture: np.ndarray, data: Mapping[str, Any], name: str) -> np.ndarray:
    """The image with boxes of impurities, and of affected cells unless all are affected."""
    image = next(image for image in data['images'] if image['file_name'] == name)
    cells = [annotation for annotation in data['annotations'] if annotation['image_id'] == image['id']]
    affected = [annotation['bbox'] for annotation in cells if annotation.get('affected')]
    boxes = [(box, _IMPURITY) for box in image.get('impurities', [])]
    boxes += [(box, _AFFECTED) for box in affected] if len(affected) < len(cells) else []
    width = max(round(max(picture.shape) / SIDE), 1)
    for (x, y, w, h), colour in boxes:
        cv2.rectangle(picture, (round(x), round(y)), (round(x + w) - 1, round(y + h) - 1), colour, width)
    return picture


def _column(title: str, pictures: Sequence[np.ndarray]) -> np.ndarray:
    head = np.full((_TITLE, SIDE, 3), 255, np.uint8)
    cv2.putText(head, title, (3, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.45, _INK, 1, cv2.LINE_AA)
    return np.vstack([head, *(_fit(picture) for picture in pictures)])


def _fit(picture: np.ndarray) -> np.ndarray:
    """The image in the corner of a square, scaled so that its longer side fills the square."""
    scale = SIDE / max(picture.shape[:2])
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:SIDE, :SIDE]
    square = np.full((SIDE, SIDE, 3), 255, np.uint8)
    square[:small.shape[0], :small.shape[1]] = small
    return square
