"""Regions that a person reviewed completely: inside, every cell is answered and none is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

from mmleuk.bank.boxes import cut_box
from mmleuk.bank.connection import now
from mmleuk.bank.tables import BankField, Film, Look, ReviewedRegion
from mmleuk.errors import UserError
from mmleuk.structures.ground_truth import Box


@dataclass(frozen=True)
class Region:
    """One reviewed region: its id, the look, whose it is, when it was marked, and its corners in pixels."""

    id: int
    look: int
    who: str
    at: str
    box: Box


def mark_region(connection: Connection, look: int, box: Box, who: str) -> Region:
    """Note that a person reviewed this part of a look completely.

    Args:
        connection: of a transaction of :meth:`mmleuk.bank.connection.Bank.writing`.
        look: id.
        box: x1, y1, x2, y2 in pixels of the field; cut at its border.
        who: the person.

    Raises:
        UserError: no name, no such look, or less than 2 px of the region lie within the field.
    """
    if not who.strip():
        raise UserError('a reviewed region needs the name of the person')
    size = connection.execute(select(BankField.width_px, BankField.height_px).join(
        Look, Look.field_id == BankField.id).where(Look.id == look)).one_or_none()
    if size is None:
        raise UserError(f'look {look} is not in this bank; load the film again')
    region = cut_box(box, (size.width_px, size.height_px))
    at = now()
    corners = dict(zip(('x1', 'y1', 'x2', 'y2'), region))
    number = connection.scalars(insert(ReviewedRegion).values(look_id=look, who=who.strip(), at=at, **corners)
                                .returning(ReviewedRegion.id)).one()
    return Region(number, look, who.strip(), at, region)


def withdraw_region(connection: Connection, region: int, who: str) -> None:
    """Take one's own region back; the row stays, with another that says so.

    Raises:
        UserError: the region isn't there, is another person's or was taken back.
    """
    row = connection.execute(select(ReviewedRegion).where(ReviewedRegion.id == region)).one_or_none()
    open_ones = [] if row is None else regions_of(connection, [row.look_id], who)
    if row is None or region not in [one.id for one in open_ones]:
        raise UserError(f'region {region} is none of the reviewed regions of {who}; load the film again')
    connection.execute(insert(ReviewedRegion).values(
        look_id=row.look_id, who=who.strip(), at=now(), x1=row.x1, y1=row.y1, x2=row.x2, y2=row.y2, withdraws=region))


def regions_of(connection: Connection, looks: Sequence[int], who: str | None = None) -> list[Region]:
    """Regions of these looks that nobody took back, the oldest first; ``who``: only this person's."""
    statement = select(ReviewedRegion).where(ReviewedRegion.look_id.in_(looks)).order_by(ReviewedRegion.id)
    rows = connection.execute(statement if who is None else statement.where(ReviewedRegion.who == who.strip())).all()
    withdrawn = {row.withdraws for row in rows}
    return [Region(row.id, row.look_id, row.who, row.at, (row.x1, row.y1, row.x2, row.y2)) for row in rows
            if row.withdraws is None and row.id not in withdrawn]


def looks_of_film(connection: Connection, film: str, newest: bool = True) -> list[tuple[int, Any]]:
    """Id of each look of a film with its field's row, by the field's name; ``newest``: only those that count."""
    statement = (select(Look.id.label('look'), BankField).join(BankField, Look.field_id == BankField.id)
                 .join(Film, BankField.film_id == Film.id).where(Film.name == film).order_by(BankField.name, Look.id))
    return [(row.look, row) for row in connection.execute(statement.where(Look.newest) if newest else statement)]
