"""Rows of the LeukemiaAttri release's two extended YOLO text formats. Pure.

LeukemiaAttri: ``cls x y w h [a0] a1..a6`` (12 columns, 11 without Cell Size). Sparse-LeukemiaAttri:
``cls x y w h p p p p a0..a6`` (16 columns). x y w h are centre and size over the image's width and height, the p's
the annotated patch's corners in pixels of the 640x640 image, a0 is Cell Size.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mmleuk.errors import UserError
from mmleuk.schema import LEUKEMIA_ATTRIBUTES

Corners = tuple[float, float, float, float]

ATTRIBUTE_KEYS = ('cell_size', *LEUKEMIA_ATTRIBUTES.keys)
COLUMNS = {'leukemia': (12, 11), 'sparse': (16,)}
PATCH_IMAGE_SIZE = 640.0
PATCH_TOLERANCE = 1.0

CORNER_ORDERS = {'xyxy': (0, 1, 2, 3), 'xxyy': (0, 2, 1, 3)}
"""The order of the p's in the file -> their places as x1, y1, x2, y2. The release's code reads the first, its page
lists the second."""


@dataclass(frozen=True)
class Row:
    """One cell. ``where`` names file and line, ``centre_size`` is normalised, ``corners`` raw p's or None."""

    where: str
    label: int
    centre_size: tuple[float, float, float, float]
    corners: Corners | None
    attributes: tuple[int, ...]


def parse_row(text: str, where: str, columns: int, num_classes: int) -> Row:
    """Parse one line.

    Args:
        text: the line.
        where: file and line number, for messages.
        columns: how many columns this file must have: 11, 12 or 16.
        num_classes: class indices run from 0 to this less one.

    Raises:
        UserError: wrong column count, no number, class, box or attribute out of range.

    Example:
        >>> parse_row('1 .5 .5 .1 .2 0 1 0 1 0 2', 'a.txt:1', 11, 14).attributes
        (0, 1, 0, 1, 0, 2)
    """
    fields = text.split()
    if len(fields) != columns:
        raise UserError(f'{where}: has {len(fields)} columns where {columns} are expected; LeukemiaAttri has 12 (or 11 '
                        'without Cell Size), its sparse subset 16, and all files of a conversion the same number')
    numbers = [parse_number(field, where) for field in fields]
    label = parse_whole(numbers[0], where, 'class', range(num_classes))
    centre_size = numbers[1:5]
    if not all(0 <= value <= 1 for value in centre_size) or min(centre_size[2:]) <= 0:
        raise UserError(f'{where}: box {" ".join(fields[1:5])} is no normalised centre and size: all lie in 0..1, '
                        'width and height above 0; correct or remove the line')
    corners = _four(numbers[5:]) if columns == 16 else None
    attributes = numbers[9:] if columns == 16 else numbers[5:]
    return Row(where, label, _four(centre_size), corners,
               tuple(parse_whole(value, where, 'attribute', range(3)) for value in attributes))


def _four(numbers: Sequence[float]) -> Corners:
    first, second, third, fourth = numbers[:4]
    return first, second, third, fourth


def parse_number(field: str, where: str) -> float:
    """A finite number; UserError naming ``where`` for anything else."""
    try:
        value = float(field)
    except ValueError as error:
        raise UserError(f'{where}: {field!r} is no number; correct or remove the line') from error
    if not math.isfinite(value):
        raise UserError(f'{where}: {field!r} is no finite number; correct or remove the line')
    return value


def parse_whole(value: float, where: str, noun: str, allowed: range) -> int:
    """A whole number of ``allowed``; UserError naming ``where`` and ``noun`` for anything else."""
    if value not in allowed:
        raise UserError(f'{where}: {noun} {value:g} is outside {allowed[0]}..{allowed[-1]}; correct the line, or give '
                        'the classes that the file was written with')
    return int(value)


def attribute_dict(row: Row) -> dict[str, int]:
    """A row's attributes by key, Cell Size where the row has it."""
    return dict(zip(ATTRIBUTE_KEYS[-len(row.attributes):], row.attributes, strict=True))


def choose_corner_order(rows: Iterable[Row]) -> str:
    """The one order of patch corners in which every row's patch lies in the image, the right way round.

    All rows were written by one program, so one order holds for all: a row for which both orders give a patch is
    settled by the rows that leave only one.

    Raises:
        UserError: no order fits every row, or both do and mean different patches.
    """
    fitting = dict.fromkeys(CORNER_ORDERS, True)
    differing: Row | None = None
    for row in rows:
        patches = {name: patch_xyxy(row, name) for name in CORNER_ORDERS}
        fits = {name: fitting[name] and _is_patch(patches[name]) for name in CORNER_ORDERS}
        if not any(fits.values()):
            raise UserError(f'{row.where}: patch corners {_text(row)} fit no order that the lines before it leave '
                            f'({", ".join(name for name in fitting if fitting[name])}): x1 < x2 and y1 < y2 within '
                            f'{PATCH_IMAGE_SIZE:g} px; correct the line')
        if all(fits.values()) and len(set(patches.values())) > 1:
            differing = differing or row
        fitting = fits
    if all(fitting.values()) and differing is not None:
        raise UserError(f'{differing.where}: patch corners {_text(differing)} are a patch in both orders, and no line '
                        'settles which it is; give --corners xyxy (x1 y1 x2 y2) or --corners xxyy (x1 x2 y1 y2)')
    return next(name for name in fitting if fitting[name])


def check_corner_order(rows: Iterable[Row], order: str) -> None:
    """Raise UserError at the first row whose patch is none in ``order``."""
    for row in rows:
        if not _is_patch(patch_xyxy(row, order)):
            raise UserError(f'{row.where}: patch corners {_text(row)} are no patch in the order {order}: x1 < x2 and '
                            f'y1 < y2 within {PATCH_IMAGE_SIZE:g} px; correct the line or choose the other order')


def patch_xyxy(row: Row, order: str) -> Corners:
    """A sparse row's patch as xyxy in pixels of the 640x640 image."""
    corners: Sequence[float] = row.corners or ()
    x1, y1, x2, y2 = (corners[place] for place in CORNER_ORDERS[order])
    return x1, y1, x2, y2


def _is_patch(patch: Corners) -> bool:
    x1, y1, x2, y2 = patch
    inside = min(patch) >= -PATCH_TOLERANCE and max(patch) <= PATCH_IMAGE_SIZE + PATCH_TOLERANCE
    return x1 < x2 and y1 < y2 and inside


def _text(row: Row) -> str:
    return ' '.join(f'{value:g}' for value in row.corners or ())
