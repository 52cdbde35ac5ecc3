"""A film as its bank knows it: each cell once, as reviewed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, func, select

from mmleuk.bank.connection import now
from mmleuk.bank.queries import FoundCell, Wanted, find_cells
from mmleuk.bank.tables import BankCell, BankField, BankRun, Film, Look, Patient
from mmleuk.schema import IGNORE, AttributeSchema
from mmleuk.structures.prediction import AttributeReading, Cell, Prediction, Run, RunInfo

CellKey = tuple[str, int]
"""Name of the image and index of the cell in its prediction."""


@dataclass(frozen=True)
class FilmContents:
    """A film's cells for a report.

    Args:
        name: of the film.
        patient: None where nobody said it.
        run: the counted cells of all fields, as reviewed; its info is the newest run's.
        ids: id in the bank of each cell.
        diameters_um: of the cells whose size is known.
        reviewed: cells on which an answer of somebody stands.
        second_views: cells that aren't counted, since another field shows them better.
        compared: whether all fields were compared for such cells.
        runs: ids of the runs that found the cells.
        scores_known: whether the bank knows the newest run's lowest scores by class; earlier versions kept none.
    """

    name: str
    patient: str | None
    run: Run
    ids: Mapping[CellKey, int]
    diameters_um: Mapping[CellKey, float]
    reviewed: frozenset[CellKey]
    second_views: int
    compared: bool
    runs: tuple[int, ...]
    scores_known: bool


def film_contents(connection: Connection, film: str) -> FilmContents:
    """All that a report of a film needs.

    Raises:
        UserError: no such film.
    """
    found = find_cells(connection, Wanted(film=film))
    looks = connection.execute(
        select(BankField, Look.run_id, Look.compared)
        .join(Look, Look.field_id == BankField.id).join(Film, BankField.film_id == Film.id)
        .where(Film.name == film, Look.newest).order_by(BankField.name)).all()
    owner = connection.scalars(select(Patient.name).join(Film, Film.patient_id == Patient.id).where(Film.name == film)
                               ).one_or_none()
    runs = sorted({look.run_id for look in looks})
    rows = connection.execute(select(BankRun).where(BankRun.id.in_(runs)).order_by(BankRun.id)).all()
    info = info_of(rows, found)
    of_field: dict[str, list[FoundCell]] = defaultdict(list)
    for cell in found:
        of_field[cell.field].append(cell)
    predictions = [Prediction(look.name, (look.height_px, look.width_px), tuple(
        as_cell(cell, info) for cell in of_field[look.name]), look.path, intensity=look.intensity) for look in looks]
    numbered = [((name, index), cell) for name, cells in of_field.items() for index, cell in enumerate(cells)]
    hidden = select(func.count()).select_from(BankCell).join(Film, BankCell.film_id == Film.id).join(
        Look, BankCell.look_id == Look.id).where(Film.name == film, BankCell.same_as.is_not(None), Look.newest)
    return FilmContents(
        film, owner, Run(info, tuple(predictions)),
        {key: cell.id for key, cell in numbered},
        {key: cell.diameter_um for key, cell in numbered if cell.diameter_um is not None},
        frozenset(key for key, cell in numbered if cell.reviewed), connection.scalars(hidden).one(),
        all(look.compared for look in looks) or len(looks) < 2, tuple(runs),
        all(row.min_scores is not None for row in rows[-1:]))


def info_of(runs: Sequence[Any], found: Sequence[FoundCell]) -> RunInfo:
    """The newest run's facts, with the classes and attributes of all runs and reviews."""
    if not runs:
        return RunInfo(classes=(), created=now())
    schema: dict[str, Any] = {}
    for run in reversed(runs):  # the newest run's meaning of an attribute is used
        schema = schema | {key: value for key, value in run.attributes.items() if key not in schema}
    classes = dict.fromkeys([name for run in reversed(runs) for name in run.classes] + [cell.type for cell in found])
    newest = runs[-1]
    leukocytes = None
    if all(run.leukocytes is not None for run in runs):
        leukocytes = tuple(dict.fromkeys(name for run in runs for name in run.leukocytes))
    return replace(
        RunInfo(tuple(classes), AttributeSchema.from_dict(schema)), min_score=newest.min_score,
        min_scores=newest.min_scores or {}, model=newest.model, config=newest.config, checkpoint=newest.checkpoint,
        device=newest.device, created=newest.made, version=newest.version, image_size=newest.image_size,
        leukocytes=leukocytes)


def as_cell(cell: FoundCell, info: RunInfo) -> Cell:
    """A cell of a bank as a prediction has it."""
    attributes = {}
    for key in info.schema.keys:
        value, prob = cell.attributes.get(key, ('unknown', 0.0))
        known = value in info.schema[key].values
        attributes[key] = AttributeReading(value=value if known else 'unknown', prob=1.0 if prob is None else prob,
                                           value_index=info.schema.encode(key, value) if known else IGNORE)
    probabilities = cell.type_probabilities if cell.type == cell.model_type else None
    return Cell(cell.box, cell.score, info.classes.index(cell.type), cell.type,
                attributes if cell.attributes else {}, class_probs=probabilities, novelty=cell.novelty)
