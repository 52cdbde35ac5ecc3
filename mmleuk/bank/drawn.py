"""Cells that a person draws, since the model missed them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, func, insert, select

from mmleuk.bank.adding import cells_of, compare_again, ids_by_name
from mmleuk.bank.boxes import BOX, box_text, cut_box, size_of
from mmleuk.bank.reviews import CELL, note_reviews
from mmleuk.bank.tables import CELLS_PER_LOOK, BankCell, BankField, CellType, Film, Look
from mmleuk.errors import UserError
from mmleuk.structures.ground_truth import Box

SAME_CELL_IOU = 0.5
"""Boxes of two people that overlap more are one cell."""


def draw_cell(connection: Connection, look: int, box: Box, who: str, said: Mapping[str, str], *,
              at: str | None = None, new_type: bool = False) -> int:
    """Add a cell to a look, or, if another person drew it already, note what this person says about it.

    Args:
        connection: of a transaction of :meth:`mmleuk.bank.connection.Bank.writing`.
        look: id.
        box: x1, y1, x2, y2 in pixels of the field; cut at its border.
        who: the person.
        said: 'type' and values of attributes by key.
        at: ISO 8601; default: now.
        new_type: accept a type that no run in this bank knows.

    Returns:
        The cell's id.

    Raises:
        UserError: no such look, the box is no box within the field, no type is given, or a word that the bank
            doesn't know.
    """
    # Locks the film in PostgreSQL: two people's cells must not get one number, nor miss a comparison of its fields.
    connection.execute(select(Film.id).join(BankField, BankField.film_id == Film.id).join(
        Look, Look.field_id == BankField.id).where(Look.id == look).with_for_update(of=Film, key_share=True)).all()
    row = connection.execute(select(BankField, Look.newest).join(Look, Look.field_id == BankField.id).where(
        Look.id == look)).one_or_none()
    if row is None:
        raise UserError(f'look {look} is not in this bank; load the film again')
    if not said.get('type'):
        raise UserError('a drawn cell needs a type; say what it is')
    box = cut_box(box, (row.width_px, row.height_px))
    said = {CELL: CELL, **said}
    cell = _drawn_already(connection, look, box, who)
    if cell is None:
        cell = _insert(connection, look, row, box, who, said['type'], new_type)
    else:
        said[BOX] = box_text(box)
    note_reviews(connection, cell, who, said, 'drawn', at, new_type)
    return cell


def _drawn_already(connection: Connection, look: int, box: Box, who: str) -> int | None:
    """The cell of another person that this box shows as well, if any."""
    rows = connection.execute(select(BankCell.id, BankCell.x1, BankCell.y1, BankCell.x2, BankCell.y2).where(
        *cells_of(look), BankCell.drawn_by.is_not(None), BankCell.drawn_by != who))
    found = [(_iou((row.x1, row.y1, row.x2, row.y2), box), row.id) for row in rows]
    best = max(found, default=(0.0, 0))
    return best[1] if best[0] >= SAME_CELL_IOU else None


def _iou(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0.0) * max(height, 0.0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return shared / (sum(areas) - shared)


def _insert(connection: Connection, look: int, field: Any, box: Box, who: str, name: str, new_type: bool) -> int:
    types = ids_by_name(connection, CellType.name, [name]) if new_type else dict(
        connection.execute(select(CellType.name, CellType.id)).all())
    if name not in types:
        raise UserError(f'type {name!r} is not in this bank; it has {", ".join(sorted(types))}')
    last = connection.scalar(select(func.max(BankCell.id)).where(*cells_of(look)))
    cell = (last or look * CELLS_PER_LOOK) + 1
    size, um = size_of(box, field.um_per_px_x, field.um_per_px_y)
    connection.execute(insert(BankCell).values(
        id=cell, look_id=look, film_id=field.film_id, **dict(zip(('x1', 'y1', 'x2', 'y2'), box)), size_px=size,
        diameter_um=um, score=1.0, type_id=types[name], current_type_id=types[name], counted=field.newest,
        drawn_by=who))
    if field.newest:
        compare_again(connection, [field.film_id])
    return cell
