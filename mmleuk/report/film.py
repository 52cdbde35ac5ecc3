"""The report of a film as plain data: what the page, the PDF and the JSON file show. Every number names its cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from mmleuk.report.differential import (
    Differential,
    Share,
    TypeShare,
    blasts_in_words,
    differential,
    order_in_words,
    worth,
)
from mmleuk.report.field_quality import FieldQuality, judge
from mmleuk.report.first_look import Look, first_look
from mmleuk.report.intervals import LEVEL, share_interval
from mmleuk.report.sentence import describe
from mmleuk.report.statistics import morphology_bank
from mmleuk.schema import AttributeSchema, leukocyte_classes
from mmleuk.structures.prediction import BankEntry, Run

FORMAT = 'mmleuk.film/1'
FIRST = 20
"""Cells in the list to look at first."""
SECOND_OPINION = ('A second opinion, never a diagnosis. A model found and named these cells; nobody has checked those '
                  'that are not marked as reviewed. It is wrong at a rate that is unknown for another stain, '
                  'microscope or laboratory. Intervals say what the number of cells leaves open, not how often the '
                  'model is wrong.')
CellKey = tuple[str, int]


@dataclass(frozen=True)
class FilmFacts:
    """What is known of a film beside its predictions.

    Args:
        name: of the film.
        patient: if known.
        ids: of the cells in a bank; cells without one are numbered from 1.
        diameters_um: of cells whose size is known.
        reviewed: cells that a person said something about.
        quality: figures of its fields by name; empty where the images can't be read.
        notes: warnings from the source of the predictions.
        review: what the people who reviewed it needed per cell, and how far they agree
            (:func:`mmleuk.desk.reviewing.summary_of`).
        made: facts for the end of the page, by name.
    """

    name: str
    patient: str | None = None
    ids: Mapping[CellKey, int] = field(default_factory=dict)
    diameters_um: Mapping[CellKey, float] = field(default_factory=dict)
    reviewed: frozenset[CellKey] = frozenset()
    quality: Mapping[str, FieldQuality] = field(default_factory=dict)
    notes: Sequence[str] = ()
    review: Mapping[str, Any] = field(default_factory=dict)
    made: Mapping[str, str] = field(default_factory=dict)


def film_report(run: Run, facts: FilmFacts, leukocytes: Sequence[str] | None = None,
                blasts: Sequence[str] | None = None) -> dict[str, Any]:
    """Everything that a report says, for JSON.

    Args:
        run: the film's images; each cell stands in one of them.
        facts: what else is known.
        leukocytes: classes that count; default: those that the run states, else by their names.
        blasts: types that are blasts; default: by their names.

    Raises:
        UserError: a name is no class.
    """
    info = run.info
    names = leukocyte_classes(info.classes, info.leukocytes if leukocytes is None else leukocytes)
    found = differential(run.predictions, names, info.schema, blasts)
    sentence = describe(run.predictions, info.classes, info.schema, names)
    bank = morphology_bank(run.predictions, names)
    ids = {_key(entry): facts.ids.get(_key(entry), number) for number, entry in enumerate(bank, start=1)}
    level, text = worth(found.n)
    return dict(
        format=FORMAT, film=facts.name, patient=facts.patient, second_opinion=SECOND_OPINION, sentence=sentence.text,
        evidence=sentence.evidence, notes=list(facts.notes), interval_level=LEVEL, leukocytes=found.n,
        worth=dict(level=level, text=text), fields_looked_at=found.n_images, counted_types=list(names),
        types=[_type(one, ids, info.schema, facts) for one in found.types], order=order_in_words(found),
        blasts=_blasts(found, ids),
        look_first=[dict(cell=ids[_key(look.entry)], priority=round(look.priority, 4), reasons=list(look.reasons))
                    for look in _unreviewed(first_look(bank, info.schema), facts)[:FIRST]],
        review=dict(facts.review), fields=_fields(run, facts, names),
        cells=[_cell(entry, ids, facts) for entry in bank], made=dict(facts.made))


def _unreviewed(looks: Sequence[Look], facts: FilmFacts) -> list[Look]:
    return [look for look in looks if _key(look.entry) not in facts.reviewed]


def _key(entry: BankEntry) -> CellKey:
    return entry.prediction.image, entry.index


def _part(entries: Sequence[BankEntry], n: int, ids: Mapping[CellKey, int]) -> dict[str, Any]:
    low, high = share_interval(len(entries), n)
    return dict(count=len(entries), n=n, share=len(entries) / n if n else None, interval=[low, high],
                cells=[ids[_key(entry)] for entry in entries])


def _share(share: Share, ids: Mapping[CellKey, int]) -> dict[str, Any]:
    return _part(share.entries, share.n, ids)


def _type(one: TypeShare, ids: Mapping[CellKey, int], schema: AttributeSchema, facts: FilmFacts) -> dict[str, Any]:
    entries = one.share.entries
    attributes = {}
    for attribute in schema.attributes:
        known = [entry for entry in entries if entry.cell.value_index(attribute.key) >= 0]
        attributes[attribute.key] = dict(name=attribute.name, unknown=len(entries) - len(known), values={
            value: _part([entry for entry in known if entry.cell.value_index(attribute.key) == index], len(known), ids)
            for index, value in enumerate(attribute.values)})
    diameters = [facts.diameters_um[_key(entry)] for entry in entries if _key(entry) in facts.diameters_um]
    return dict(name=one.name, **_share(one.share, ids), joint_interval=list(one.joint),
                attributes=attributes if entries else {}, diameter_um=_spread(diameters))


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    """Number, median and the middle 80%; None of nothing."""
    if not values:
        return None
    low, middle, high = (round(float(value), 2) for value in np.percentile(values, (10, 50, 90)))
    return dict(n=len(values), median=middle, p10=low, p90=high)


def _blasts(found: Differential, ids: Mapping[CellKey, int]) -> dict[str, Any] | None:
    if found.blasts is None:
        return None
    return dict(types=list(found.blast_types), text=blasts_in_words(found), **_share(found.blasts, ids))


def _fields(run: Run, facts: FilmFacts, names: Sequence[str]) -> list[dict[str, Any]]:
    faults = judge(facts.quality)
    return [dict(name=prediction.image, path=prediction.path, cells=len(prediction.cells),
                 leukocytes=sum(cell.class_name in names for cell in prediction.cells),
                 quality=asdict(facts.quality[prediction.image]) if prediction.image in facts.quality else None,
                 faults=list(faults.get(prediction.image, ()))) for prediction in run.predictions]


def _cell(entry: BankEntry, ids: Mapping[CellKey, int], facts: FilmFacts) -> dict[str, Any]:
    cell, key = entry.cell, _key(entry)
    return dict(id=ids[key], field=entry.prediction.image, box=[round(value, 2) for value in cell.box],
                type=cell.class_name, score=round(cell.score, 4), diameter_um=facts.diameters_um.get(key),
                attributes={name: dict(value=reading['value'], prob=round(reading['prob'], 4))
                            for name, reading in cell.attributes.items()}, reviewed=key in facts.reviewed)
