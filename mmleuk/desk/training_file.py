"""Reviewed films as a COCO training file: reviewed regions are its annotated regions, so a detector that learns from
sparse annotations (SLA-Det) trains on it at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sqlalchemy import Connection, select

from mmleuk.bank.boxes import BOX, parse_box
from mmleuk.bank.films import info_of
from mmleuk.bank.opinions import answers_of, last_answers
from mmleuk.bank.queries import FoundCell
from mmleuk.bank.regions import Region, looks_of_film, regions_of
from mmleuk.bank.reviews import CELL, NO_CELL, UNKNOWN
from mmleuk.bank.tables import CELLS_PER_LOOK, BankRun, Look
from mmleuk.desk.field_images import FieldImages
from mmleuk.desk.film_view import models_view
from mmleuk.errors import UserError
from mmleuk.structures.ground_truth import in_regions

OfCells = Mapping[int, Mapping[str, str]]


def training_file(connection: Connection, films: Sequence[str], images: Mapping[str, FieldImages], *,
                  who: str | None = None, ignore_disputed: bool = False) -> dict[str, Any]:
    """The content of a COCO file with attributes and annotated regions.

    A field is in it if a region of it was reviewed; of several looks at it, the newest with a region counts. Its cells
    are those whose centre lies in a region; of the rest nothing is known, also where a person answered a cell there.

    Args:
        connection: of :meth:`mmleuk.bank.connection.Bank.reading`.
        films: names.
        images: of each film; file names are relative to their root.
        who: only this person's regions and answers; default: everybody's, and of several answers the last.
        ignore_disputed: mark cells on whose type two people disagree as ``ignore``: no loss uses them.

    Raises:
        UserError: no such film or person, or nothing was reviewed completely.
    """
    chosen = [found for film in films for found in _looks(connection, film, who)]
    if not chosen:
        raise UserError(f'{", ".join(films)}: no region was marked as reviewed{f" by {who}" if who else ""}; mark one '
                        'on the page of mmleuk review')
    runs = select(Look.run_id).where(Look.id.in_([look for _, look, _, _ in chosen]))
    info = info_of(connection.execute(select(BankRun).where(BankRun.id.in_(runs)).order_by(BankRun.id)).all(), [])
    records: list[dict[str, Any]] = []
    cells: list[dict[str, Any]] = []
    for film in films:
        answers = answers_of(connection, film)
        counted = last_answers(connection, film) if who is None else answers.get(who, {})
        of_look = defaultdict(list)
        for cell in models_view(connection, [look for name, look, _, _ in chosen if name == film]):
            of_look[cell.id // CELLS_PER_LOOK].append(cell)
        for _, look, field, regions in (entry for entry in chosen if entry[0] == film):
            record = dict(id=len(records) + 1, file_name=images[film].file_name(field), width=field.width_px,
                          height=field.height_px, annotated_region=[_xywh(region.box) for region in regions])
            records.append(record)
            for cell in sorted(of_look[look], key=lambda one: one.id):
                disputed = ignore_disputed and _is_disputed(cell.id, answers)
                found = _annotation(cell, counted.get(cell.id, {}), regions, disputed)
                if found is not None:
                    cells.append(found | dict(image_id=record['id']))
    return _coco(records, cells, list(info.classes), info.schema.to_dict())


def _looks(connection: Connection, film: str, who: str | None) -> list[tuple[str, int, Any, list[Region]]]:
    """Film, look, field and regions of the newest look of each field that has a region."""
    looks = looks_of_film(connection, film, newest=False)
    if not looks:
        raise UserError(f'film {film!r} is not in this bank; mmleuk bank query lists films')
    regions = defaultdict(list)
    for region in regions_of(connection, [look for look, _ in looks], who):
        regions[region.look].append(region)
    newest = {row.id: (look, row) for look, row in looks if regions[look]}  # in order of the looks' ids
    return [(film, look, row, regions[look]) for look, row in newest.values()]


def _annotation(cell: FoundCell, said: Mapping[str, str], regions: Sequence[Region], disputed: bool
                ) -> dict[str, Any] | None:
    """The annotation of a cell; None where it is none, or where nothing is known of it."""
    box = parse_box(said[BOX]) if BOX in said else cell.box
    x1, y1, x2, y2 = box
    centre = np.array([[(x1 + x2) / 2, (y1 + y2) / 2]])
    within = bool(in_regions(centre, [region.box for region in regions])[0])
    if not within or cell.drawn_by is not None and not said:
        return None
    if min(x2 - x1, y2 - y1) <= 0:  # no box that a detector can learn
        return None
    if said.get(CELL) == NO_CELL and not disputed:
        return None
    attributes = {key: value for key, (value, _) in cell.attributes.items()} | {
        key: value for key, value in said.items() if key not in ('type', CELL, BOX)}
    return dict(bbox=_xywh(box), category=said.get('type', cell.type), iscrowd=0,
                **(dict(ignore=1) if disputed else {}),
                attributes={key: value for key, value in attributes.items() if value != UNKNOWN})


def _is_disputed(cell: int, answers: Mapping[str, OfCells]) -> bool:
    """Whether two people say different things about what a cell is."""
    said = [one[cell] for one in answers.values() if cell in one]
    return len({NO_CELL if one.get(CELL) == NO_CELL else one['type'] for one in said
                if 'type' in one or one.get(CELL) == NO_CELL}) > 1


def _xywh(box: Sequence[float]) -> list[float]:
    return [round(value, 2) for value in (box[0], box[1], box[2] - box[0], box[3] - box[1])]


def _coco(images: list[dict], cells: list[dict], classes: list[str], attributes: dict) -> dict[str, Any]:
    names = list(dict.fromkeys([*classes, *(cell['category'] for cell in cells)]))
    annotations = []
    for number, cell in enumerate(cells, start=1):
        name = cell.pop('category')
        annotations.append(dict(id=number, category_id=names.index(name) + 1, area=cell['bbox'][2] * cell['bbox'][3],
                                **cell))
    return dict(categories=[dict(id=number, name=name) for number, name in enumerate(names, start=1)],
                attributes=attributes, images=images, annotations=annotations)
