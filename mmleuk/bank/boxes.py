"""Boxes that people correct. The cell has the last one; the model's is the old value of the first review about it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select, update

from mmleuk.bank.tables import BankCell, BankField, BankReview, Look
from mmleuk.errors import UserError
from mmleuk.structures.ground_truth import Box
from mmleuk.structures.prediction import box_diameter

BOX = 'box'
"""Subject of a review; its values are written as x1,y1,x2,y2 in pixels of the field."""
MIN_SIDE_PX = 2.0


def box_text(box: Sequence[float]) -> str:
    """A box as a review keeps it, with every digit.

    >>> box_text((1.5, 2, 30, 40.25))
    '1.5,2.0,30.0,40.25'
    """
    return ','.join(repr(float(value)) for value in box)


def parse_box(text: str) -> Box:
    """The box in a review's value.

    >>> parse_box('1.5,2,30,40.25')
    (1.5, 2.0, 30.0, 40.25)

    Raises:
        UserError: it isn't four numbers.
    """
    try:
        x1, y1, x2, y2 = map(float, text.split(','))
    except ValueError as error:
        raise UserError(f'box {text!r}: needs four numbers x1,y1,x2,y2 in pixels of the field') from error
    return x1, y1, x2, y2


def cut_box(box: Box, size_wh: tuple[int, int]) -> Box:
    """The part of a box within the image, corners in order.

    Raises:
        UserError: it isn't four finite numbers, or less than 2 px of it lie within the image.

    >>> cut_box((30., 5., -4., 25.), (20, 20))
    (0.0, 5.0, 20.0, 20.0)
    """
    if not all(map(math.isfinite, box)):
        raise UserError(f'box {box}: needs four finite numbers x1, y1, x2, y2 in pixels')
    (left, right), (top, bottom) = sorted((box[0], box[2])), sorted((box[1], box[3]))
    cut = max(left, 0.0), max(top, 0.0), min(right, float(size_wh[0])), min(bottom, float(size_wh[1]))
    if cut[2] - cut[0] < MIN_SIDE_PX or cut[3] - cut[1] < MIN_SIDE_PX:
        raise UserError(f'box {tuple(round(value, 1) for value in box)}: less than {MIN_SIDE_PX:g} px of it lie within '
                        f'the image of {size_wh[0]} x {size_wh[1]} px; draw it larger')
    return cut


def size_of(box: Box, um_per_px_x: float | None, um_per_px_y: float | None) -> tuple[float, float | None]:
    """Square root of a box's area, in pixels and in micrometres; None where the field's scale is not known.

    >>> size_of((0., 0., 4., 9.), 0.5, 0.5), size_of((0., 0., 4., 9.), None, None)
    ((6.0, 3.0), (6.0, None))
    """
    sides = 0.0, 0.0, max(box[2] - box[0], 0.0), max(box[3] - box[1], 0.0)
    pixels = box_diameter(sides, (1.0, 1.0))
    if um_per_px_x is None or um_per_px_y is None:
        return pixels, None
    return pixels, box_diameter(sides, (um_per_px_x, um_per_px_y))


def move_box(connection: Connection, cell: Any, new: str) -> tuple[str, str]:
    """Give a cell another box, and the size that follows from it.

    Args:
        connection: of a transaction of :meth:`mmleuk.bank.connection.Bank.writing`.
        cell: its row.
        new: as :func:`parse_box` takes it; cut at the field's border.

    Returns:
        The old and the new box as text.

    Raises:
        UserError: no box, or less than 2 px of it lie within the field.
    """
    old = cell.x1, cell.y1, cell.x2, cell.y2
    field = connection.execute(select(BankField).join(Look, Look.field_id == BankField.id).where(
        Look.id == cell.look_id)).one()
    box = parse_box(new)
    # The model's own box is right as it is, also where it sticks out of the field or has no area.
    if box not in (old, first_boxes(connection, [cell.id]).get(cell.id)):
        box = cut_box(box, (field.width_px, field.height_px))
    size, um = size_of(box, field.um_per_px_x, field.um_per_px_y)
    if um is None and cell.diameter_um is not None:
        um = cell.diameter_um * size / cell.size_px if cell.size_px else cell.diameter_um
    connection.execute(update(BankCell).where(BankCell.id == cell.id).values(
        **dict(zip(('x1', 'y1', 'x2', 'y2'), box)), size_px=size, diameter_um=um))
    return box_text(old), box_text(box)


def first_boxes(connection: Connection, cells: Sequence[int]) -> dict[int, Box]:
    """By cell, the box before anybody corrected it: the model's, or that of the person who drew it.

    Cells whose box nobody corrected are left out.
    """
    rows = connection.execute(select(BankReview.cell_id, BankReview.old_value).where(
        BankReview.cell_id.in_(cells), BankReview.subject == BOX).order_by(BankReview.id.desc())).all()
    return {cell: parse_box(str(old)) for cell, old in rows}
