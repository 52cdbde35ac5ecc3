"""Ask a bank for cells."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, case, false, func, or_, select
from sqlalchemy.orm import aliased

from mmleuk.bank.boxes import first_boxes
from mmleuk.bank.standing import stands
from mmleuk.bank.tables import (
    CELLS_PER_LOOK,
    AttributeValue,
    BankAttribute,
    BankCell,
    BankField,
    BankReview,
    BankRun,
    CellAttribute,
    CellType,
    Film,
    Look,
    Patient,
)
from mmleuk.errors import UserError
from mmleuk.structures.ground_truth import Box
from mmleuk.utils.words import listed

_RARE = 5000
"""Cells that are quickly sorted."""
_NO_SIZES = (None,) * 4
_AT_ONCE = 900
"""Ids in one condition; databases limit how many."""
ORDERS = {'score': BankCell.score.desc(), 'uncertain': BankCell.score, 'large': BankCell.size_px.desc(),
          'small': BankCell.size_px}
"""Orders of found cells."""


@dataclass(frozen=True)
class Wanted:
    """Which cells; every given condition has to hold.

    Args:
        types: any of these, as reviewed.
        attributes: values by key, as reviewed.
        min_score, max_score: of the detection, 0 to 1.
        min_um, max_um: diameter in micrometres; cells of unknown diameter are left out.
        min_px, max_px: square root of the box's area in pixels.
        film, patient, field: by name.
        run: id of the run.
        cells: ids.
        reviewed: only cells on which an answer of somebody stands, or none.
        uncounted: also cells of earlier looks, second sights of a cell, and what a reviewer called no cell.
    """

    types: Sequence[str] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    min_score: float | None = None
    max_score: float | None = None
    min_um: float | None = None
    max_um: float | None = None
    min_px: float | None = None
    max_px: float | None = None
    film: str | None = None
    patient: str | None = None
    field: str | None = None
    run: int | None = None
    cells: Sequence[int] = ()
    reviewed: bool | None = None
    uncounted: bool = False

    @property
    def sizes(self) -> tuple[float | None, ...]:
        """The four limits of sizes, the lower ones first."""
        return self.min_px, self.min_um, self.max_px, self.max_um


@dataclass(frozen=True)
class FoundCell:
    """A cell with all that the bank knows of it.

    Args:
        id: of the cell in the bank.
        film, field, path: where it is.
        intensity: how the file's samples became 8 bits; None where they have 8.
        patient: None where nobody said it.
        run: id of the run that found it.
        box: x1, y1, x2, y2 in pixels of the field.
        size_px: square root of the box's area.
        diameter_um: None where the scale isn't known.
        score: of the detection, 0 to 1.
        type: as reviewed; ``model_type`` is the model's.
        attributes: value and the model's probability by key, as reviewed. The probability is None where a reviewer
            said another value.
        type_probabilities: per class of the run, None where the model gives none.
        novelty: out-of-distribution score, None where the model gives none.
        same_as: the counted cell, if this is another field's view of it.
        counted: whether it is in the counts.
        reviews: how often somebody said something about it, taken back or not.
        reviewed: whether an answer stands.
        drawn_by: the person who drew it; None where a model found it.
        moved_from: the box before anybody corrected it; None where nobody did.
    """

    id: int
    film: str
    patient: str | None
    field: str
    path: str | None
    intensity: str | None
    run: int
    box: Box
    size_px: float
    diameter_um: float | None
    score: float
    type: str
    model_type: str
    attributes: Mapping[str, tuple[str, float | None]]
    type_probabilities: tuple[float, ...] | None
    novelty: float | None
    same_as: int | None
    counted: bool
    reviews: int
    reviewed: bool = False
    drawn_by: str | None = None
    moved_from: Box | None = None


def find_cells(connection: Connection, wanted: Wanted, *, order: str | None = None, limit: int | None = None
               ) -> list[FoundCell]:
    """The cells, in order.

    Args:
        connection: of :meth:`mmleuk.bank.connection.Bank.reading`.
        wanted: conditions.
        order: 'score' (highest first), 'uncertain' (lowest first), 'large' or 'small'; default: 'large' from a
            size on, 'small' up to one, else 'score'.
        limit: how many at most.

    Raises:
        UserError: a name that the bank doesn't know; the message lists what it knows.
    """
    return cells_by_id(connection, ids_of(connection, wanted, order, limit))


def cells_by_id(connection: Connection, ids: Sequence[int], attributes: bool = True) -> list[FoundCell]:
    """These cells, in this order; ids that the bank doesn't have are left out. Without attributes it is quicker."""
    model_type = aliased(CellType)
    statement = (
        select(BankCell, Film.name.label('film'), Patient.name.label('patient'), BankField.name.label('field'),
               BankField.path, BankField.intensity, Look.run_id, CellType.name.label('type'),
               model_type.name.label('model_type'))
        .join(Look, BankCell.look_id == Look.id).join(BankField, Look.field_id == BankField.id)
        .join(Film, BankField.film_id == Film.id).outerjoin(Patient, Film.patient_id == Patient.id)
        .join(CellType, BankCell.current_type_id == CellType.id).join(model_type, BankCell.type_id == model_type.id))
    rows = {row.id: row for some in _batches(ids)
            for row in connection.execute(statement.where(BankCell.id.in_(some))).all()}
    readings, reviews = _attributes(connection, ids) if attributes else {}, _reviews(connection, ids)
    moved = {cell: box for some in _batches(list(reviews)) for cell, box in first_boxes(connection, some).items()}
    return [_found(rows[number], readings.get(number, {}), reviews.get(number, (0, False)), moved.get(number))
            for number in ids if number in rows]


def ids_of(connection: Connection, wanted: Wanted, order: str | None = None, limit: int | None = None
           ) -> list[int]:
    """Ids of the cells, in order; see :func:`find_cells`."""
    if order is None:  # the order of an index that the condition uses
        order = 'score' if wanted.sizes == _NO_SIZES else 'small' if wanted.sizes[:2] == (None, None) else 'large'
    if order not in ORDERS:
        raise UserError(f'order {order!r}: choose {listed(list(ORDERS), "or")}')
    statement = filtered(connection, select(BankCell.id), wanted, limit is None)
    return list(connection.scalars(statement.order_by(ORDERS[order], BankCell.id.desc()).limit(limit)))


def count_cells(connection: Connection, wanted: Wanted) -> dict[str, int]:
    """Number of cells per type, the most frequent first."""
    # As an expression, SQLite doesn't read all cells in the types' order to find the few within a range of sizes.
    group = BankCell.current_type_id + 0 if wanted.sizes != _NO_SIZES else BankCell.current_type_id
    statement = filtered(connection, select(group, func.count()), wanted)
    counts = connection.execute(statement.group_by(group)).all()
    names = dict(connection.execute(select(CellType.id, CellType.name)).all())
    return {names[number]: count for number, count in sorted(counts, key=lambda row: (-row[1], names[row[0]]))}


def filtered(connection: Connection, statement: Select, wanted: Wanted, all_of_them: bool = True) -> Select:
    """A statement about cells with the conditions.

    Args:
        connection: to look up names.
        statement: selects from the cells.
        wanted: conditions.
        all_of_them: whether every row is read; else the first ones have to come quickly.

    Raises:
        UserError: a name that the bank doesn't know.
    """
    for column, low, high in ((BankCell.score, wanted.min_score, wanted.max_score),
                              (BankCell.diameter_um, wanted.min_um, wanted.max_um),
                              (BankCell.size_px, wanted.min_px, wanted.max_px)):
        statement = statement if low is None else statement.where(column >= low)
        statement = statement if high is None else statement.where(column <= high)
    if wanted.types:
        ids = [_id_of(connection, CellType.name, name, 'type') for name in wanted.types]
        # Many cells of a type, and sizes: then the index of sizes is the better one.
        by_size = wanted.sizes != _NO_SIZES and not _is_rare(connection, select(BankCell.id).where(
            BankCell.current_type_id.in_(ids)))
        statement = statement.where((BankCell.current_type_id + 0 if by_size else BankCell.current_type_id).in_(ids))
    at_once = all_of_them and not wanted.types and wanted.film is None
    for value in _value_ids(connection, wanted.attributes):
        reading = aliased(CellAttribute)
        having = select(reading.cell_id).where(reading.value_id == value)
        # Rare values are looked up first; others are asked for cell by cell, in the order of the question.
        statement = statement.where(BankCell.id.in_(having) if at_once or _is_rare(connection, having) else
                                    having.where(reading.cell_id == BankCell.id).exists())
    if wanted.cells:
        statement = statement.where(BankCell.id.in_(wanted.cells))
    if wanted.reviewed is not None:
        said = select(BankReview.id).where(BankReview.cell_id == BankCell.id, stands()).exists()
        statement = statement.where(said if wanted.reviewed else ~said)
    statement = statement if wanted.uncounted else statement.where(BankCell.counted)
    return _of_film(connection, statement, wanted)


def _is_rare(connection: Connection, cells: Select) -> bool:
    """Whether so few cells are selected that sorting them takes no time."""
    return connection.scalars(select(func.count()).select_from(cells.limit(_RARE + 1).subquery())).one() <= _RARE


def _of_film(connection: Connection, statement: Select, wanted: Wanted) -> Select:
    if wanted.film is not None:
        statement = statement.where(BankCell.film_id == _id_of(connection, Film.name, wanted.film, 'film'))
    if wanted.patient is not None:
        owner = _id_of(connection, Patient.name, wanted.patient, 'patient')
        films = connection.scalars(select(Film.id).where(Film.patient_id == owner)).all()
        statement = statement.where(BankCell.film_id.in_(films))
    if wanted.field is not None or wanted.run is not None:
        looks = select(Look.id).join(BankField)
        looks = looks if wanted.field is None else looks.where(BankField.name == wanted.field)
        looks = looks if wanted.run is None else looks.where(Look.run_id == _run_id(connection, wanted.run))
        statement = statement.where(_in_looks(connection.scalars(looks.order_by(Look.id)).all()))
    return statement


def _in_looks(looks: Sequence[int]) -> ColumnElement[bool]:
    """The condition for the cells of these looks, sorted: their ids are in ranges, of which a run is mostly one."""
    starts = [look for look, before in zip(looks, [None, *looks]) if before is None or look != before + 1]
    ends = [look for look, after in zip(looks, [*looks[1:], None]) if look + 1 != after]
    if len(starts) > _AT_ONCE:
        return BankCell.look_id.in_(looks)
    return or_(false(), *(and_(BankCell.id > start * CELLS_PER_LOOK, BankCell.id < (end + 1) * CELLS_PER_LOOK)
                          for start, end in zip(starts, ends)))


def _id_of(connection: Connection, column: Any, name: str, what: str) -> int:
    found = connection.scalars(select(column.class_.id).where(column == name)).one_or_none()
    if found is None:
        known = connection.scalars(select(column).order_by(column).limit(21)).all()
        more = ', ...' if len(known) > 20 else ''
        raise UserError(f'{what} {name!r} is not in this bank; it has {", ".join(known[:20]) or "none"}{more}')
    return int(found)


def _run_id(connection: Connection, run: int) -> int:
    known = connection.scalars(select(BankRun.id).order_by(BankRun.id)).all()
    if run not in known:
        raise UserError(f'run {run} is not in this bank; it has {", ".join(map(str, known)) or "none"}')
    return run


def _value_ids(connection: Connection, attributes: Mapping[str, str]) -> list[int]:
    found = []
    for key, name in attributes.items():
        attribute = _id_of(connection, BankAttribute.key, key, 'attribute')
        values = dict(connection.execute(select(AttributeValue.name, AttributeValue.id).where(
            AttributeValue.attribute_id == attribute).order_by(AttributeValue.id)).all())
        if name not in values:
            raise UserError(f'attribute {key!r} has no value {name!r} in this bank; it has {", ".join(values)}')
        found.append(values[name])
    return found


def _batches(ids: Sequence[int]) -> Iterable[Sequence[int]]:
    return (ids[start:start + _AT_ONCE] for start in range(0, len(ids), _AT_ONCE))


def _attributes(connection: Connection, cells: Sequence[int]) -> dict[int, dict[str, tuple[str, float | None]]]:
    found: dict[int, dict[str, tuple[str, float | None]]] = defaultdict(dict)
    values = {number: (key, name) for number, key, name in connection.execute(
        select(AttributeValue.id, BankAttribute.key, AttributeValue.name)
        .join(BankAttribute, AttributeValue.attribute_id == BankAttribute.id).order_by(BankAttribute.id))}
    statement = select(CellAttribute.cell_id, CellAttribute.value_id, CellAttribute.prob, CellAttribute.model_value_id)
    for some in _batches(cells):
        rows = connection.execute(statement.where(CellAttribute.value_id.in_(values), CellAttribute.cell_id.in_(some)))
        readings = {(cell, value): prob if value == models else None for cell, value, prob, models in rows}
        for value, (key, name) in values.items():
            for cell in some:
                if (cell, value) in readings:
                    found[cell][key] = name, readings[cell, value]
    return found


def model_attributes(connection: Connection, cells: Sequence[int]) -> dict[int, dict[str, tuple[str, float | None]]]:
    """The model's value and its probability by attribute's key and cell, whatever reviewers said."""
    names = {number: (key, name) for number, key, name in connection.execute(
        select(AttributeValue.id, BankAttribute.key, AttributeValue.name)
        .join(BankAttribute, AttributeValue.attribute_id == BankAttribute.id))}
    found: dict[int, dict[str, tuple[str, float | None]]] = defaultdict(dict)
    statement = select(CellAttribute.cell_id, CellAttribute.model_value_id, CellAttribute.prob).where(
        CellAttribute.value_id.in_(names))
    for some in _batches(cells):
        for cell, value, prob in connection.execute(statement.where(CellAttribute.cell_id.in_(some))).all():
            if value is not None:
                key, name = names[value]
                found[cell][key] = name, prob
    return found


def _reviews(connection: Connection, cells: Sequence[int]) -> dict[int, tuple[int, bool]]:
    """Number of reviews and whether an answer stands, of the cells that have reviews."""
    statement = select(BankReview.cell_id, func.count(), func.max(case((stands(), 1), else_=0))).group_by(
        BankReview.cell_id)
    return {cell: (count, bool(standing)) for some in _batches(cells)
            for cell, count, standing in connection.execute(statement.where(BankReview.cell_id.in_(some)))}


def _found(row: Any, attributes: Mapping[str, tuple[str, float | None]], reviews: tuple[int, bool],
           moved_from: Box | None) -> FoundCell:
    probabilities = row.type_probabilities
    return FoundCell(
        row.id, row.film, row.patient, row.field, row.path, row.intensity, row.run_id,
        (row.x1, row.y1, row.x2, row.y2), row.size_px, row.diameter_um, row.score, row.type, row.model_type, attributes,
        None if probabilities is None else tuple(probabilities), row.novelty, row.same_as, row.counted, *reviews,
        row.drawn_by, moved_from)
