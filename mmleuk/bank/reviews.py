"""What people say about cells: added, never overwritten. The last word counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, insert, select, update

from mmleuk.bank.adding import ids_by_name
from mmleuk.bank.boxes import BOX, move_box
from mmleuk.bank.connection import Bank, now
from mmleuk.bank.queries import cells_by_id
from mmleuk.bank.tables import AttributeValue, BankAttribute, BankCell, BankReview, CellAttribute, CellType
from mmleuk.errors import UserError
from mmleuk.schema import TYPE_ATTRIBUTE

CELL, NO_CELL = 'cell', 'no cell'
UNKNOWN = 'unknown'
_LOCKED = 900


@dataclass(frozen=True)
class Review:
    """What one person said about one cell.

    Args:
        cell: its id in the bank.
        who: name of the person.
        at: ISO 8601.
        subject: 'type', 'cell' (whether it is one), 'box' or an attribute's key.
        old: what the bank said before; None where an attribute was unknown.
        new: what the person says; the same as ``old`` confirms it.
        note: free text.
    """

    cell: int
    who: str
    at: str
    subject: str
    old: str | None
    new: str
    note: str = ''


def add_review(bank: Bank, cell: int, who: str, subject: str, new: str, note: str = '', at: str | None = None,
               new_type: bool = False) -> Review:
    """Note what a person says, and let it count.

    A type also says that it is a cell, if somebody said that it is none, and what the attribute of that name is.

    Args:
        bank: to write into.
        cell: id.
        who: name of the person.
        subject: 'type', 'cell', 'box' or an attribute's key.
        new: a type; 'cell' or 'no cell'; x1,y1,x2,y2 in pixels of the field; a value of the attribute or 'unknown'.
        note: free text.
        at: ISO 8601; default: now.
        new_type: accept a type that no run in this bank knows; otherwise it is taken for a misspelling.

    Raises:
        UserError: no such cell, or a word that the bank doesn't know.
    """
    with bank.writing() as connection:
        said = with_implied({subject: new}, bool(denied(connection, BankCell.id == cell)), type_values(connection))
        reviews = note_reviews(connection, cell, who, said, note, at, new_type)
    return next(review for review in reviews if review.subject == subject)


def denied(connection: Connection, *which: ColumnElement[bool]) -> set[int]:
    """Those of the cells that somebody called none."""
    return set(connection.scalars(select(BankReview.cell_id).join(BankCell, BankReview.cell_id == BankCell.id).where(
        *which, BankReview.subject == CELL, BankReview.new_value == NO_CELL)))


def type_values(connection: Connection) -> list[str]:
    """Values of the attribute that says the type, in a bank whose models read one."""
    return list(connection.scalars(
        select(AttributeValue.name).join(BankAttribute, AttributeValue.attribute_id == BankAttribute.id)
        .where(BankAttribute.key == TYPE_ATTRIBUTE)))


def with_implied(said: Mapping[str, str], is_denied: bool, types: Sequence[str] = ()) -> dict[str, str]:
    """A type says more: that it is a cell, where somebody said that it is none, and what the type's attribute is.

    Args:
        said: new value by subject.
        is_denied: whether somebody said that it is none.
        types: of :func:`type_values`.

    >>> with_implied({'type': 'Basophil'}, True), with_implied({'type': 'Basophil'}, False, ['Monocyte'])
    ({'cell': 'cell', 'type': 'Basophil'}, {'type': 'Basophil', 'cell_type': 'unknown'})
    """
    if 'type' not in said:
        return dict(said)
    attribute = {TYPE_ATTRIBUTE: said['type'] if said['type'] in types else UNKNOWN} if types else {}
    return {**({CELL: CELL} if is_denied else {}), **said, **attribute}


def note_reviews(connection: Connection, cell: int, who: str, said: Mapping[str, str], note: str = '',
                 at: str | None = None, new_type: bool = False) -> list[Review]:
    """As :func:`add_review` for several subjects of a cell, in a transaction of :meth:`Bank.writing`.

    Args:
        connection: of the transaction.
        cell, who, note, at, new_type: as there.
        said: new value by subject.

    Raises:
        UserError: as there.
    """
    if not who.strip():
        raise UserError('a review needs the name of the person; give --who')
    # Locks the cell in PostgreSQL: the next reviewer's old value is this one's new value.
    row = connection.execute(select(BankCell).where(BankCell.id == cell).with_for_update()).one_or_none()
    if row is None:
        raise UserError(f'cell {cell} is not in this bank; mmleuk bank query lists ids')
    reviews = []
    for subject, new in said.items():
        if subject == 'type':
            old: str | None = _retype(connection, row, new, new_type)
        elif subject == CELL:
            old = _whether_cell(connection, row, new)
        elif subject == BOX:
            old, new = move_box(connection, row, new)
        else:
            old = _change_attribute(connection, cell, subject, new)
        reviews.append(Review(cell, who.strip(), at or now(), subject, old, new, note))
    if reviews:
        connection.execute(insert(BankReview), [
            dict(cell_id=r.cell, who=r.who, at=r.at, subject=r.subject, old_value=r.old, new_value=r.new, note=r.note)
            for r in reviews])
    return reviews


def note_confirmed(connection: Connection, said: Mapping[int, Mapping[str, str]], who: str, note: str = '') -> None:
    """As :func:`note_reviews` for many cells; quick for those about which the bank says the same already.

    Args:
        connection: of a transaction of :meth:`mmleuk.bank.connection.Bank.writing`.
        said: new value by subject, by cell.
        who, note: as there.

    Raises:
        UserError: as there.
    """
    ids, at = list(said), now()
    for start in range(0, len(ids), _LOCKED):  # in PostgreSQL, as note_reviews does
        some = ids[start:start + _LOCKED]
        connection.execute(select(BankCell.id).where(BankCell.id.in_(some)).order_by(BankCell.id).with_for_update()).all()
    known = {cell.id: {'type': cell.type, **{key: value for key, (value, _) in cell.attributes.items()}}
             for cell in cells_by_id(connection, ids)}
    rows = []
    for cell, values in said.items():
        if known.get(cell, {}).items() >= values.items() and who.strip():
            rows += [dict(cell_id=cell, who=who.strip(), at=at, subject=subject, old_value=value, new_value=value,
                          note=note) for subject, value in values.items()]
        else:
            note_reviews(connection, cell, who, values, note, at)
    if rows:
        connection.execute(insert(BankReview), rows)


def reviews_of(connection: Connection, cell: int) -> list[Review]:
    """What was said about a cell, the oldest first."""
    rows = connection.execute(select(BankReview).where(BankReview.cell_id == cell).order_by(BankReview.id))
    return [Review(row.cell_id, row.who, row.at, row.subject, row.old_value, row.new_value, row.note) for row in rows]


def _retype(connection: Connection, cell: Any, new: str, new_type: bool) -> str:
    if new_type:
        ids_by_name(connection, CellType.name, [new])
    known = dict(connection.execute(select(CellType.name, CellType.id)).all())
    if new not in known:
        raise UserError(f'type {new!r} is not in this bank; it has {", ".join(sorted(known))}; to add one, say so '
                        '(--new-type)')
    connection.execute(update(BankCell).where(BankCell.id == cell.id).values(current_type_id=known[new]))
    return next(name for name, number in known.items() if number == cell.current_type_id)


def _whether_cell(connection: Connection, cell: Any, new: str) -> str:
    if new not in (CELL, NO_CELL):
        raise UserError(f"{new!r}: say 'cell' or 'no cell'")
    said = select(BankReview.new_value).where(BankReview.cell_id == cell.id, BankReview.subject == CELL)
    before = connection.scalars(said.order_by(BankReview.id.desc()).limit(1)).one_or_none()
    if new == NO_CELL:
        connection.execute(update(BankCell).where(BankCell.id == cell.id).values(counted=False))
    elif before == NO_CELL and cell.same_as is None:
        connection.execute(update(BankCell).where(BankCell.id == cell.id).values(counted=True))
    return before or CELL


def _change_attribute(connection: Connection, cell: int, key: str, new: str) -> str | None:
    values = dict(connection.execute(select(AttributeValue.name, AttributeValue.id).join(
        BankAttribute, AttributeValue.attribute_id == BankAttribute.id).where(BankAttribute.key == key)).all())
    if not values:
        keys = connection.scalars(select(BankAttribute.key).order_by(BankAttribute.id)).all()
        raise UserError(f"{key!r}: a review is about 'type', 'cell', 'box' or an attribute of this bank: "
                        f"{', '.join(keys)}")
    if new == UNKNOWN and new not in values:
        attribute = ids_by_name(connection, BankAttribute.key, [key])[key]
        connection.execute(insert(AttributeValue).values(attribute_id=attribute, name=UNKNOWN))
        values = dict(connection.execute(select(AttributeValue.name, AttributeValue.id).where(
            AttributeValue.attribute_id == attribute)).all())
    if new not in values:
        raise UserError(f'attribute {key!r} has no value {new!r} in this bank; it has {", ".join(values)}')
    row = connection.execute(select(CellAttribute).where(
        CellAttribute.cell_id == cell, CellAttribute.value_id.in_(values.values()))).one_or_none()
    if row is None:
        connection.execute(insert(CellAttribute).values(cell_id=cell, value_id=values[new]))
        return None
    connection.execute(update(CellAttribute).where(
        CellAttribute.cell_id == cell, CellAttribute.value_id == row.value_id).values(value_id=values[new]))
    return next(name for name, number in values.items() if number == row.value_id)
