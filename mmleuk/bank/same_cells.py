"""Cells that two fields of a film show: each is counted once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, and_, or_, select, update

from mmleuk.bank.adding import forget_comparison
from mmleuk.bank.connection import Bank
from mmleuk.bank.tables import CELLS_PER_LOOK, BankCell, BankField, BankReview, Film, Look
from mmleuk.datasets.dedupe import Dropped, choose_cells
from mmleuk.datasets.field_overlap import Field, find_shared_cells
from mmleuk.structures.ground_truth import ImageTruth, RecordId, TrueCell

COMPARED_PX = 2 ** 26
"""Area of the largest field that is compared; comparing decodes whole images."""


@dataclass(frozen=True)
class Compared:
    """What the comparison of a film's fields found.

    Args:
        fields: of the film.
        missing: fields whose image isn't there; they were compared with none.
        large: fields that are too large for that (slides); they were compared with none.
        overlaps: pairs of fields that share a part.
        same: cells that are no longer counted, since another field shows them more completely.
    """

    fields: int
    missing: int
    large: int
    overlaps: int
    same: int


def compare_fields(bank: Bank, film_id: int, workers: int = 2) -> Compared:
    """Look for cells that several fields of a film show, and count each once: in the field that shows it best.

    The images are compared outside of any transaction. The result replaces that of an earlier comparison; if somebody
    adds to the film or draws a cell meanwhile, its fields stay marked as not compared.

    Raises:
        UserError: an image has become unreadable.
    """
    with bank.reading() as connection:
        fields = _fields(connection, film_id)
    small = [field for field in fields if field.truth.width * field.truth.height <= COMPARED_PX]
    there = [field for field in small if field.path and Path(field.path).is_file()]
    pairs = list(find_shared_cells(there, workers)) if len(there) > 1 else []
    dropped = choose_cells(pairs)
    with bank.writing() as connection:
        connection.execute(select(Film).where(Film.id == film_id).with_for_update()).all()
        if _cells_by_look(fields) == _cells_by_look(_fields(connection, film_id)):
            _write(connection, film_id, dropped)
    return Compared(len(fields), len(small) - len(there), len(fields) - len(small), len(pairs), len(dropped))


def _cells_by_look(fields: Iterable[Field]) -> dict[RecordId, int]:
    return {field.truth.image_id: len(field.truth.cells) for field in fields}


def films_to_compare(connection: Connection, films: Iterable[int]) -> dict[int, str]:
    """Names of those of these films that have fields nobody compared, by id."""
    statement = select(Film.id, Film.name).join(BankField, BankField.film_id == Film.id).join(
        Look, Look.field_id == BankField.id).where(Film.id.in_(list(films)), Look.newest, ~Look.compared)
    return dict(connection.execute(statement.distinct().order_by(Film.id)).all())


def _write(connection: Connection, film_id: int, dropped: Iterable[Dropped]) -> None:
    forget_comparison(connection, [film_id])
    for drop in dropped:
        connection.execute(update(BankCell).where(BankCell.id == int(drop.cell.annotation_id)).values(
            same_as=int(drop.kept.annotation_id), counted=False))
    fields = select(BankField.id).where(BankField.film_id == film_id)
    connection.execute(update(Look).where(Look.newest, Look.field_id.in_(fields)).values(compared=True))


def _newest_looks(connection: Connection, film_id: int) -> list[tuple[int, Any]]:
    rows = connection.execute(select(Look.id, BankField).join(BankField, Look.field_id == BankField.id)
                              .where(Look.newest, BankField.film_id == film_id).order_by(Look.id))
    return [(row[0], row) for row in rows]


def _fields(connection: Connection, film_id: int) -> list[Field]:
    """The film's fields with their cells as a truth: an annotation's id is the cell's."""
    cells: dict[int, list[TrueCell]] = defaultdict(list)
    looks = _newest_looks(connection, film_id)
    ranges = [and_(BankCell.id > look * CELLS_PER_LOOK, BankCell.id < (look + 1) * CELLS_PER_LOOK) for look, _ in looks]
    verdicts = dict(connection.execute(select(BankReview.cell_id, BankReview.new_value).where(
        BankReview.subject == 'cell').order_by(BankReview.id)).all())
    for some in (ranges[start:start + 400] for start in range(0, len(ranges), 400)):
        for row in connection.execute(select(BankCell).where(or_(*some))):
            box = row.x1, row.y1, row.x2, row.y2
            # What a reviewer called no cell counts for no other one.
            ignored = verdicts.get(row.id) == 'no cell'
            cells[row.look_id].append(TrueCell(row.id, row.type_id, box, (), ignored, box, 0.0))
    return [Field(row.path or '', ImageTruth(look, row.name, row.width_px, row.height_px, cells=tuple(cells[look])),
                  intensity=row.intensity)
            for look, row in looks]
