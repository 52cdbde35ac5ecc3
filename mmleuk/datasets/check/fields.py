"""What ``mmleuk data check`` finds in fields: the release's defects, patients and overlaps of several splits."""

from __future__ import annotations

import os.path as osp
from collections.abc import Mapping, Sequence
from itertools import combinations

from mmleuk.datasets.check.findings import NOTE, PROBLEM, Finding
from mmleuk.datasets.check.sources import Source
from mmleuk.datasets.field_overlap import Field, SharedCells, find_shared_cells
from mmleuk.datasets.leukemia_attri import LeukemiaAttriDataset
from mmleuk.datasets.release import DOUBLE, REPEATED, SMALL, TWO_CLASSES, UNAVAILABLE, apply_rules, is_release
from mmleuk.datasets.validation import normalise_coco
from mmleuk.errors import UserError
from mmleuk.structures.ground_truth import ImageTruth, RecordId
from mmleuk.utils.json_files import read_json

MAX_NAMES = 5
RULES = {
    REPEATED: '{total} image entries repeat {files}; each file is read as one field with all its cells',
    DOUBLE: '{total} cells have the same box and class twice in {files}; each is read once',
    TWO_CLASSES: '{total} boxes have two classes in {files}; None yields to the other class, a cell of two other '
                 'classes is ignored',
    SMALL: '{total} boxes have a side under 8 px (2 px at 10x) in {files}; they are ignored',
    UNAVAILABLE: '{total} annotations have an attribute with the value 4 in {files}; it is unknown'}
"""What a finding says of each kind of defect of the release."""
OTHERS = {
    DOUBLE: '{total} cells have the same box and class twice in {files}; they count twice: remove one',
    TWO_CLASSES: '{total} boxes have two classes in {files}; each is read as two cells: remove the wrong one'}
"""The same for data sets that its rules are not for."""


def find_release_defects(source: Source) -> list[Finding]:
    """One note per kind of defect that the rules of LeukemiaAttri's release handle; elsewhere of double boxes."""
    if not osp.isfile(source.dataset.ann_file):
        return []
    try:
        content = normalise_coco(read_json(source.dataset.ann_file))
    except UserError:
        return []  # reading the split has reported the broken file already
    texts = RULES if isinstance(source.dataset, LeukemiaAttriDataset) or is_release(content) else OTHERS
    return [Finding(NOTE, source.name, kind, f'{source.dataset.ann_file}: ' + texts[kind].format(
        total=counts.total(), files=_name_files(counts)))
            for kind, counts in apply_rules(content)[1].items() if counts and kind in texts]


def _name_files(counts: Mapping[str, int]) -> str:
    shown = [f'{name} ({count})' for name, count in sorted(counts.items())[:MAX_NAMES]]
    more = len(counts) - len(shown)
    return f'{len(counts)} file{"s" if len(counts) > 1 else ""}: ' + ', '.join(shown) + (
        f' and {more} more' if more else '')


def find_patients(read: Sequence[tuple[Source, Sequence[ImageTruth]]]) -> list[Finding]:
    """A problem for each pair of splits that show the same patient."""
    found = []
    for (one, images), (other, others) in combinations(read, 2):
        if set(one.splits) & set(other.splits):
            continue
        by_patient: dict[str, tuple[list[str], list[str]]] = {}
        for side, entries in enumerate((images, others)):
            for image in entries:
                if image.patient is not None:
                    by_patient.setdefault(image.patient, ([], []))[side].append(image.file_name)
        both = {patient: names for patient, names in by_patient.items() if all(names)}
        if both:
            text = '; '.join(f'patient {patient}: {len(left)} fields ({left[0]}) and {len(right)} ({right[0]})'
                             for patient, (left, right) in list(both.items())[:MAX_NAMES])
            more = f'; and {len(both) - MAX_NAMES} more patients' if len(both) > MAX_NAMES else ''
            found.append(Finding(PROBLEM, f'{one.name} and {other.name}', 'patient in two splits',
                                 f'{text}{more}; scores would be of patients that were trained on: put all fields of a '
                                 'patient into one split'))
    return found


def count_cells(shared: Sequence[SharedCells]) -> int:
    """Number of cells that have a box in several fields; one that three fields show is one cell, not three."""
    groups: dict[tuple[str, RecordId], set[tuple[str, RecordId]]] = {}
    for pair in shared:
        for one, other in pair.cells:
            ends = (pair.one.path, one.annotation_id), (pair.other.path, other.annotation_id)
            joined = {*ends, *groups.get(ends[0], ()), *groups.get(ends[1], ())}
            groups.update(dict.fromkeys(joined, joined))
    return len({id(group) for group in groups.values()})


def find_overlaps(read: Sequence[tuple[Source, Sequence[ImageTruth]]], workers: int) -> list[Finding]:
    """Fields that show the same place of the film, and the cells that have a box in both."""
    fields = [Field(osp.join(source.dataset.data_prefix.get('img', ''), image.file_name), image, index)
              for index, (source, images) in enumerate(read) for image in images]
    pairs: dict[tuple[int, int], list[SharedCells]] = {}
    for pair in find_shared_cells(fields, workers):
        pairs.setdefault((pair.one.group, pair.other.group), []).append(pair)
    found = []
    for (one, other), shared in pairs.items():
        cells = count_cells(shared)
        shown = sorted(shared, key=lambda pair: -len(pair.cells))[:MAX_NAMES]
        text = f'{len(shared)} pairs of fields overlap, and {cells} cells have a box in both: ' + ', '.join(
            map(str, shown)) + (f' and {len(shared) - MAX_NAMES} more pairs' if len(shared) > MAX_NAMES else '')
        if one == other:
            found.append(Finding(NOTE, read[one][0].name, 'overlapping fields', f'{text}; these cells count twice: '
                                 '`mmleuk data dedupe` keeps one of each'))
        else:
            found.append(Finding(PROBLEM, f'{read[one][0].name} and {read[other][0].name}', 'overlapping fields',
                                 f'{text}; scores would be of cells that were trained on: take one field of each pair '
                                 'out of its split'))
    return found
