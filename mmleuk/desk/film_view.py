"""A film as one person sees it: what the model says, with that person's own answers and nobody else's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, select

from mmleuk.bank.adding import cells_of
from mmleuk.bank.films import as_cell, info_of
from mmleuk.bank.opinions import answers_of
from mmleuk.bank.queries import FoundCell, cells_by_id, model_attributes
from mmleuk.bank.regions import looks_of_film, regions_of
from mmleuk.bank.reviews import CELL
from mmleuk.bank.tables import CELLS_PER_LOOK, BankCell, BankRun, Look
from mmleuk.pictures.colours import class_styles
from mmleuk.report.first_look import first_look
from mmleuk.schema import TYPE_ATTRIBUTE, leukocyte_classes
from mmleuk.structures.prediction import BankEntry, Prediction, RunInfo


def film_view(connection: Connection, film: str, who: str, types: Sequence[str] = ()) -> dict[str, Any]:
    """All that the page shows, for JSON.

    Args:
        connection: of :meth:`mmleuk.bank.connection.Bank.reading`.
        film: name.
        who: the person; cells that others drew, and what others said, are left out.
        types: offered beside those that the film's models know.

    Returns:
        The film's ``fields``, its ``cells`` (those to look at first on top), ``types``, ``attributes`` and the
        person's ``regions``.

    Raises:
        UserError: no such film.
    """
    answers = answers_of(connection, film).get(who, {})
    looks = looks_of_film(connection, film)
    shown = {look for look, _ in looks}
    cells = cells_of_person(connection, sorted(shown), answers)
    info = _info(connection, sorted(shown), cells)
    names = tuple(dict.fromkeys([*info.classes, *types, *(said['type'] for said in answers.values()
                                                           if 'type' in said)]))
    leukocytes = leukocyte_classes(names, info.leukocytes and (
        *info.leukocytes, *leukocyte_classes([name for name in names if name not in info.classes])))
    styles = class_styles(names, leukocytes)
    reasons, by_id = _order(cells, info), {cell.id: cell for cell in cells}
    return dict(
        film=film, who=who,
        fields=[dict(look=look, name=row.name, width=row.width_px, height=row.height_px) for look, row in looks],
        types=[dict(name=name, leukocyte=name in leukocytes, colour=styles[name].colour, dashed=styles[name].dashed)
               for name in names],
        attributes=[dict(key=one.key, name=one.name, values=list(one.values)) for one in info.schema.attributes
                    if one.key != TYPE_ATTRIBUTE],  # it follows the type
        cells=[_cell(by_id[number], answers.get(number, {}), why) for number, why in reasons],
        regions=[dict(id=one.id, look=one.look, box=list(one.box)) for one in regions_of(connection, sorted(shown),
                                                                                         who)])


def cells_of_person(connection: Connection, looks: Sequence[int], answers: Mapping[int, Mapping[str, str]]
                    ) -> list[FoundCell]:
    """Cells of looks as a model found them, and those that the person with these answers drew."""
    return [cell for cell in models_view(connection, looks)
            if cell.drawn_by is None or answers.get(cell.id, {}).get(CELL) == CELL]


def models_view(connection: Connection, looks: Sequence[int]) -> list[FoundCell]:
    """All cells of looks, also those that aren't counted, with the model's box, type and attributes."""
    ids = [cell for look in looks for cell in connection.scalars(
        select(BankCell.id).where(*cells_of(look)).order_by(BankCell.id))]
    attributes = model_attributes(connection, ids)
    return [replace(cell, box=cell.moved_from or cell.box, type=cell.model_type, attributes=attributes.get(cell.id, {}))
            for cell in cells_by_id(connection, ids, attributes=False)]


def _info(connection: Connection, looks: Sequence[int], cells: Sequence[FoundCell]) -> RunInfo:
    runs = select(Look.run_id).where(Look.id.in_(looks))
    return info_of(connection.execute(select(BankRun).where(BankRun.id.in_(runs)).order_by(BankRun.id)).all(), cells)


def _order(cells: Sequence[FoundCell], info: RunInfo) -> list[tuple[int, tuple[str, ...]]]:
    """Ids with reasons, the cells to look at first on top; drawn cells, of which no model is unsure, come last."""
    of_field: dict[str, list[FoundCell]] = defaultdict(list)
    for cell in cells:
        if cell.drawn_by is None:
            of_field[cell.field].append(cell)
    predictions = {name: Prediction(name, (1, 1), tuple(as_cell(cell, info) for cell in members))
                   for name, members in of_field.items()}
    entries = [BankEntry(predictions[name], index) for name, members in of_field.items()
               for index in range(len(members))]
    looks = first_look(entries, info.schema) if entries else []
    ordered = [(of_field[look.entry.prediction.image][look.entry.index].id, look.reasons) for look in looks]
    return ordered + [(cell.id, ('drawn by a person',)) for cell in cells if cell.drawn_by is not None]


def _cell(cell: FoundCell, own: dict[str, str], reasons: Sequence[str]) -> dict[str, Any]:
    return dict(id=cell.id, look=cell.id // CELLS_PER_LOOK, box=[round(value, 2) for value in cell.box],
                type=cell.type, score=round(cell.score, 4), diameter_um=cell.diameter_um,
                drawn=cell.drawn_by is not None,
                attributes={key: dict(value=value, prob=None if prob is None else round(prob, 4))
                            for key, (value, prob) in cell.attributes.items() if key != TYPE_ATTRIBUTE},
                elsewhere=cell.same_as, said=own, reasons=list(reasons))
