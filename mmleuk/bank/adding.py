"""Write a run's predictions into a bank: all of them in one transaction, each run once."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from mmleuk.bank.boxes import size_of
from mmleuk.bank.bulk import bulk_insert, indices_afterwards, no_collector
from mmleuk.bank.connection import Bank, now
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
    Embedding,
    Film,
    Look,
    Patient,
)
from mmleuk.errors import UserError
from mmleuk.schema import AttributeSchema
from mmleuk.structures.prediction import Cell, Prediction, Run
from mmleuk.utils.files import sha256_of

_CHUNK = 20_000
_CELL_COLUMNS = ('id', 'look_id', 'film_id', 'x1', 'y1', 'x2', 'y2', 'size_px', 'diameter_um', 'score', 'type_id',
                 'current_type_id', 'type_probabilities', 'novelty', 'same_as', 'counted')
_SCALE = ('um_per_px_x', 'um_per_px_y')
_OF_RUN = ('path', 'intensity', *_SCALE)
"""Columns of a field that a later run of it changes."""
_ATTRIBUTE_COLUMNS = ('value_id', 'cell_id', 'model_value_id', 'prob')


@dataclass(frozen=True)
class Added:
    """What an addition did; ``new`` is false where the bank had the run already."""

    run_id: int
    fields: int
    cells: int
    film_ids: tuple[int, ...]
    new: bool


@dataclass(frozen=True)
class _Names:
    """Ids by name."""

    films: Mapping[str, int]
    types: Mapping[str, int]
    values: Mapping[tuple[str, str], int]


def add_run(bank: Bank, run: Run, films: Mapping[str, str], digest: str, source: str,
            patient: str | None = None, new_films: bool = False) -> Added:
    """Add all cells of a run, whole or not at all. A run that the bank has already changes nothing.

    Looks of earlier runs at the same fields stay in the bank and are no longer counted.

    Args:
        bank: to write into.
        run: the predictions.
        films: film of each image, by the image's name.
        digest: SHA-256 of the predictions file, which tells runs apart.
        source: the file's path.
        patient: whose films these are, if known.
        new_films: refuse films that the bank has already, except for those whose run it is.

    Raises:
        UserError: a film belongs to another patient, has another image of that name, or should be new and isn't.
    """
    weights, hashes = _sha256(run.info.checkpoint), {p.image: _sha256(p.path) for p in run.predictions}
    with bank.writing() as connection:
        if new_films:
            _refuse_known(connection, set(films.values()), digest)
        run_id = _insert_run(connection, run, digest, source, weights)
        if run_id is None:
            return _known(connection, digest)
        names = _names(connection, run, films, patient)
        fields = _fields(connection, run.predictions, films, names, hashes)
        _retire(connection, list(fields.values()), sorted(set(names.films.values())))
        looks = _insert_looks(connection, run_id, [fields[p.image] for p in run.predictions])
        film_of = [names.films[films[p.image]] for p in run.predictions]
        with indices_afterwards(connection, BankCell, _is_most(connection, len(run.cells))), no_collector():
            _insert_cells(connection, run, looks, film_of, names)
    with bank.writing() as connection:  # for the planner of queries; a sample is enough
        if bank.is_sqlite:
            connection.exec_driver_sql('PRAGMA analysis_limit=1000')
        connection.exec_driver_sql('ANALYZE')
    return Added(run_id, len(looks), len(run.cells), tuple(sorted(set(film_of))), new=True)


def _refuse_known(connection: Connection, films: Collection[str], digest: str) -> None:
    """Nobody said that these are the bank's films: they may be another patient's, of the same name."""
    own = select(BankField.film_id).join(Look, Look.field_id == BankField.id).join(
        BankRun, Look.run_id == BankRun.id).where(BankRun.digest == digest)
    known = connection.scalars(select(Film.name).where(Film.name.in_(films), Film.id.not_in(own)).order_by(Film.name))
    if name := known.first():
        raise UserError(f'film {name!r} is in this bank already, and these predictions are none of its runs; name '
                        'their film with --name')


def _known(connection: Connection, digest: str) -> Added:
    run_id = connection.scalars(select(BankRun.id).where(BankRun.digest == digest)).one()
    looks = connection.execute(select(Look.id, BankField.film_id).join(BankField, Look.field_id == BankField.id)
                               .where(Look.run_id == run_id)).all()
    return Added(run_id, len(looks), 0, tuple(sorted({film for _, film in looks})), new=False)


def _insert_run(connection: Connection, run: Run, digest: str, source: str, weights: str | None) -> int | None:
    """The new run's id; None where the bank has it."""
    info = run.info
    row = dict(digest=digest, source=source, model=info.model, config=info.config, checkpoint=info.checkpoint,
               weights_sha256=weights, version=info.version, device=info.device, made=info.created, added=now(),
               min_score=info.min_score, min_scores=dict(info.min_scores), image_size=info.image_size,
               classes=list(info.classes), leukocytes=None if info.leukocytes is None else list(info.leukocytes),
               attributes=info.schema.to_dict(), fields=len(run.predictions), cells=len(run.cells))
    return connection.scalars(_insert_new(connection, BankRun).values(row).returning(BankRun.id)).one_or_none()


def _insert_new(connection: Connection, model: Any) -> Any:
    """An INSERT that skips rows that are there already."""
    dialect = sqlite if connection.dialect.name == 'sqlite' else postgresql
    return dialect.insert(model).on_conflict_do_nothing()


def ids_by_name(connection: Connection, column: Any, names: Iterable[str]) -> dict[str, int]:
    """Id of each name in a table of names; new names are added. Sorted, so that two writers don't block each other."""
    wanted, model = sorted(set(names)), column.class_
    if not wanted:
        return {}
    connection.execute(_insert_new(connection, model), [{column.key: name} for name in wanted])
    return dict(connection.execute(select(column, model.id).where(column.in_(wanted))).all())


def _names(connection: Connection, run: Run, films: Mapping[str, str], patient: str | None) -> _Names:
    types = ids_by_name(connection, CellType.name, run.info.classes)
    values = value_ids(connection, run.info.schema)
    owner = ids_by_name(connection, Patient.name, [patient])[patient] if patient else None
    film_ids = ids_by_name(connection, Film.name, (films[p.image] for p in run.predictions))
    # Locks these films until the end, in PostgreSQL; SQLite has one writer anyway.
    rows = connection.execute(select(Film).where(Film.id.in_(film_ids.values())).order_by(Film.id).with_for_update())
    for film in rows.all():
        if owner is not None and film.patient_id not in (None, owner):
            raise UserError(f'film {film.name!r} belongs to another patient in this bank; name the film or the patient '
                            'differently')
    if owner is not None:
        connection.execute(update(Film).where(Film.id.in_(film_ids.values())).values(patient_id=owner))
    return _Names(film_ids, types, values)


def value_ids(connection: Connection, schema: AttributeSchema) -> dict[tuple[str, str], int]:
    """Ids of values by attribute key and name; new ones are added."""
    attributes = ids_by_name(connection, BankAttribute.key, schema.keys)
    by_id = sorted(schema.values_by_key, key=lambda pair: attributes[pair[0]])  # as in ids_by_name
    wanted = [dict(attribute_id=attributes[key], name=name) for key, names in by_id for name in names]
    if not wanted:
        return {}
    connection.execute(_insert_new(connection, AttributeValue), wanted)
    rows = connection.execute(select(BankAttribute.key, AttributeValue.name, AttributeValue.id)
                              .join(AttributeValue, AttributeValue.attribute_id == BankAttribute.id))
    return {(key, name): number for key, name, number in rows}


def _fields(connection: Connection, predictions: Sequence[Prediction], films: Mapping[str, str], names: _Names,
            hashes: Mapping[str, str | None]) -> dict[str, int]:
    """Id of each image's field; new fields are added.

    Raises:
        UserError: the film has another image of that name.
    """
    rows: list[dict[str, Any]] = [
        dict(film_id=names.films[films[p.image]], name=p.image, sha256=hashes[p.image], width_px=p.size_hw[1],
             height_px=p.size_hw[0], path=None if p.path is None else str(Path(p.path).absolute()),
             intensity=p.intensity,
             **dict(zip(_SCALE, p.um_per_px or (None, None)))) for p in predictions]
    if not rows:
        return {}
    connection.execute(_insert_new(connection, BankField), rows)
    known = {(field.film_id, field.name): field for field in connection.execute(
        select(BankField).where(BankField.film_id.in_(names.films.values())))}
    fields = {}
    for row in rows:
        field = known[row['film_id'], row['name']]
        same_size = (field.width_px, field.height_px) == (row['width_px'], row['height_px'])
        if not same_size or None not in (field.sha256, row['sha256']) and field.sha256 != row['sha256']:
            raise UserError(f'film {films[row["name"]]!r} has another image called {row["name"]!r} in this bank; name '
                            'the film differently')
        fields[str(row['name'])] = field.id
    known_scale: dict[str, Any] = {key: func.coalesce(bindparam(f'b_{key}'), getattr(BankField, key)) for key in _SCALE}
    statement = update(BankField).where(BankField.id == bindparam('b_id')).values(
        path=bindparam('b_path'), intensity=bindparam('b_intensity'), **known_scale)
    connection.execute(statement, [dict(b_id=fields[row['name']], **{f'b_{key}': row[key] for key in _OF_RUN})
                                   for row in rows])
    return fields


def _insert_looks(connection: Connection, run_id: int, fields: Sequence[int]) -> list[int]:
    if not fields:
        return []
    return list(connection.scalars(insert(Look).returning(Look.id, sort_by_parameter_order=True), [
        dict(run_id=run_id, field_id=field, newest=True, compared=False) for field in fields]))


def _retire(connection: Connection, fields: Sequence[int], films: Sequence[int]) -> None:
    """Earlier looks at these fields no longer count; comparisons with them are forgotten."""
    old = connection.scalars(select(Look.id).where(Look.field_id.in_(fields), Look.newest)).all()
    if not old:
        return
    connection.execute(update(Look).where(Look.id.in_(old)).values(newest=False))
    for look in old:
        connection.execute(update(BankCell).where(*cells_of(look)).values(counted=False))
    forget_comparison(connection, films)


def forget_comparison(connection: Connection, films: Sequence[int]) -> None:
    """Count every cell of the newest looks of these films again, until the fields are compared again."""
    compare_again(connection, films)
    newest = select(Look.id).where(Look.newest)
    verdict = select(BankReview.new_value).where(
        BankReview.cell_id == BankCell.id, BankReview.subject == 'cell').order_by(BankReview.id.desc()).limit(1)
    connection.execute(update(BankCell).where(
        BankCell.film_id.in_(films), BankCell.same_as.is_not(None), BankCell.look_id.in_(newest)).values(
            same_as=None, counted=func.coalesce(verdict.scalar_subquery(), 'cell') != 'no cell'))


def compare_again(connection: Connection, films: Sequence[int]) -> None:
    """Mark the fields of these films as not compared: a cell was added, which other fields may show as well."""
    in_films = select(BankField.id).where(BankField.film_id.in_(films))
    connection.execute(update(Look).where(Look.newest, Look.field_id.in_(in_films)).values(compared=False))


def _is_most(connection: Connection, n_cells: int) -> bool:
    """Whether a large run has more cells than all the runs before it."""
    before = (connection.scalar(select(func.sum(BankRun.cells))) or 0) - n_cells
    return n_cells > max(before, _CHUNK)


def cells_of(look: int) -> tuple[Any, Any]:
    """The condition for a look's cells: one range of ids."""
    return BankCell.id > look * CELLS_PER_LOOK, BankCell.id < (look + 1) * CELLS_PER_LOOK


def _insert_cells(connection: Connection, run: Run, looks: Sequence[int], films: Sequence[int], names: _Names) -> None:
    type_ids = [names.types[name] for name in run.info.classes]
    ids = {key: [names.values[key, name] for name in values] for key, values in run.info.schema.values_by_key}
    everything = _numbered(run.predictions, looks, films)
    while chunk := list(islice(everything, _CHUNK)):
        bulk_insert(connection, BankCell, _CELL_COLUMNS,
                    (_cell_row(number, look, film, cell, type_ids) for number, look, film, cell in chunk))
        bulk_insert(connection, CellAttribute, _ATTRIBUTE_COLUMNS, (
            (value, number, value, reading['prob']) for number, _, _, cell in chunk
            for key, reading in cell.attributes.items() if reading['value_index'] >= 0
            for value in [ids[key][reading['value_index']]]))
        vectors = [(number, _packed(vector)) for number, _, _, cell in chunk
                   if (vector := cell.embedding) is not None]
        bulk_insert(connection, Embedding, ('cell_id', 'vector'), vectors)


def _numbered(predictions: Sequence[Prediction], looks: Sequence[int], films: Sequence[int]
              ) -> Iterator[tuple[int, int, int, Cell]]:
    for prediction, look, film in zip(predictions, looks, films, strict=True):
        if len(prediction.cells) >= CELLS_PER_LOOK:
            raise UserError(f'{prediction.image}: has {len(prediction.cells)} cells; a field can have up to '
                            f'{CELLS_PER_LOOK - 1}, so cut the image into several')
        for number, cell in enumerate(prediction.cells, start=look * CELLS_PER_LOOK + 1):
            yield number, look, film, cell


def _cell_row(number: int, look: int, film: int, cell: Cell, type_ids: Sequence[int]) -> tuple[Any, ...]:
    x1, y1, x2, y2 = cell.box
    type_id, probabilities = type_ids[cell.label], cell.class_probs
    size, _ = size_of(cell.box, None, None)  # in micrometres as the run says
    return (number, look, film, x1, y1, x2, y2, size, cell.diameter_um, cell.score, type_id, type_id,
            None if probabilities is None else json.dumps(probabilities), cell.novelty, None, True)


def _packed(vector: Sequence[float]) -> bytes:
    import numpy as np
    return np.asarray(vector, '<f4').tobytes()


def _sha256(path: str | None) -> str | None:
    """Of a file; None where there is none any more."""
    if not path or not Path(path).is_file():
        return None
    return sha256_of(path)
