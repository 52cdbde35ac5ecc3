"""``mmleuk data check``: all checks of a config's data, in the order in which a reader can fix the findings."""

from __future__ import annotations

import os.path as osp
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import torch
from mmdet.datasets import CocoDataset

from mmleuk.datasets.annotations import Annotations, read_coco_json
from mmleuk.datasets.check.fields import find_overlaps, find_patients, find_release_defects
from mmleuk.datasets.check.findings import NOTE, PROBLEM, Finding, Report, Summary, and_more
from mmleuk.datasets.check.model import (
    SPARSE_TRUTH,
    check_batch_scaling,
    check_head_attributes,
    check_num_classes,
    find_unused_regions,
)
from mmleuk.datasets.check.sources import UNREADABLE, Source, find_in_images, find_sources
from mmleuk.datasets.validation import RecordDefect
from mmleuk.errors import UserError
from mmleuk.schema import AttributeSchema
from mmleuk.structures.ground_truth import ImageTruth, TrueCell
from mmleuk.structures.regions import points_in_regions

BY_ORDER = ('CocoMetric', 'mmdet.CocoMetric', 'CocoVideoMetric', 'mmdet.CocoVideoMetric')
"""Metrics that take the file's category order for the label order."""
TINY_PX = 3.0
"""A narrower box can't show a cell: it is a mistake with the mouse."""


def check_config(cfg: Mapping, workers: int = 2) -> list[Finding]:
    """Findings of :func:`examine_config`."""
    return list(examine_config(cfg, workers).findings)


def examine_config(cfg: Mapping, workers: int = 2, overlaps: bool = False) -> Report:
    """Examine the data of a config's train, val and test splits; nothing is trained or written.

    Args:
        cfg: a loaded config.
        workers: threads that decode images.
        overlaps: compare the fields of each patient, too.

    Raises:
        UserError: the config has no data set, or one that cannot be built.
    """
    sources, unchecked = find_sources(cfg)
    findings = [Finding(NOTE, '', 'not checked', f'{text}: only COCO JSON data sets are') for text in unchecked]
    findings += _find_in_model(cfg, sources)
    summaries: list[Summary] = []
    read: list[tuple[Source, Sequence[ImageTruth]]] = []
    for source in sources:
        findings += _find_in_config(source)
        try:
            annotations = source.read()
        except UserError as error:
            findings.append(Finding(PROBLEM, source.name, 'annotation file', str(error)))
            continue
        summaries.append(summarize(source.name, annotations, source.classes, source.schema))
        findings += _find_in_annotations(source, annotations, summaries[-1]) + find_release_defects(source)
        read.append((source, annotations.images))
    in_images = find_in_images(read, workers)
    findings += _find_between(sources) + find_patients(read) + in_images + _find_in_evaluators(cfg, sources)
    if overlaps and any(finding.kind == UNREADABLE for finding in in_images):
        findings.append(Finding(NOTE, '', 'not checked', 'overlaps of fields: restore the unreadable images first'))
    elif overlaps:
        findings += find_overlaps(read, workers)
    return Report(tuple(findings), tuple(summaries))


def _find_in_config(source: Source) -> list[Finding]:
    found = []
    if isinstance(source.dataset, CocoDataset):
        found += _find_renamed(source.name, source.dataset.ann_file, source.classes, 'CocoDataset')
    try:
        source.check_pipelines()
    except UserError as error:
        found.append(Finding(PROBLEM, source.name, 'pipeline', str(error)))
    return found


def _find_in_model(cfg: Mapping, sources: list[Source]) -> list[Finding]:
    found = []
    for classes in dict.fromkeys(source.classes for source in sources):
        try:
            check_num_classes(cfg, classes)
        except UserError as error:
            found.append(Finding(PROBLEM, '', 'number of classes', str(error)))
    try:
        check_batch_scaling(cfg)
    except UserError as error:
        found.append(Finding(PROBLEM, '', 'regions', str(error)))
    for source in sources:
        try:
            check_head_attributes(cfg, source.schema, training='train' in source.splits)
        except UserError as error:
            found.append(Finding(PROBLEM, source.name, 'attributes', str(error)))
        if 'train' in source.splits and source.annotation == 'sparse':
            found += [Finding(PROBLEM, source.name, 'regions', text) for text in find_unused_regions(cfg)]
    return found


def _find_between(sources: list[Source]) -> list[Finding]:
    """Check that classes and attributes are the same in all splits."""
    found = []
    for source in sources[1:]:
        for noun, one, other in (('classes', sources[0].classes, source.classes),
                                 ('attributes', sources[0].schema, source.schema)):
            if one != other:
                found.append(Finding(PROBLEM, f'{sources[0].name} and {source.name}', noun,
                                     f'the {noun} differ between the splits; give all data sets the same metainfo'))
    return found


def summarize(split: str, annotations: Annotations, classes: tuple[str, ...], schema: AttributeSchema) -> Summary:
    """Count images, cells per class and cells per attribute value; ignored cells are counted separately."""
    all_cells = [cell for image in annotations.images for cell in image.cells]
    cells = [cell for cell in all_cells if not cell.ignore]
    labels = Counter(cell.label for cell in cells)
    return Summary(
        split=split, images=len(annotations.images),
        images_without_cells=sum(not image.cells for image in annotations.images),
        ignored_cells=len(all_cells) - len(cells),
        classes={name: labels[label] for label, name in enumerate(classes)},
        attributes={key: _count_values(cells, position, schema) for position, key in enumerate(schema.keys)})


def _count_values(cells: list[TrueCell], position: int, schema: AttributeSchema) -> dict[str, int]:
    key = schema.keys[position]
    counts = Counter(schema.decode(key, cell.attributes[position]) for cell in cells)
    return {name: counts[name] for name in (*schema[key].values, 'unknown')}


def _find_in_annotations(source: Source, annotations: Annotations, summary: Summary) -> list[Finding]:
    """Findings of one split: defects, names that don't match, emptiness, cells outside regions."""
    split = source.name
    found = _find_defects(split, annotations)
    found += _find_names(split, annotations, summary)
    if not summary.cells and not annotations.defects:
        found.append(Finding(PROBLEM, split, 'empty split', f'{annotations.path}: holds no cell of '
                             f'{", ".join(source.classes)}; check ann_file and the classes'))
    if source.annotation == 'sparse':
        found += _find_cells_outside(split, annotations)
    found += _find_tiny(split, annotations) + _find_repeated(split, annotations) + _find_described(source, annotations)
    return found + _find_kind(source, annotations)


def _find_defects(split: str, annotations: Annotations) -> list[Finding]:
    """One finding for all defects of a kind: the first of them and their number."""
    alike: dict[str, list[RecordDefect]] = {}
    for defect in annotations.defects:
        alike.setdefault(defect.kind, []).append(defect)
    return [Finding(PROBLEM, split, 'defect', f'{annotations.path}: {first.record}{and_more((first, *others))}: '
                    f'{first.what}; {first.fix}') for first, *others in alike.values()]


def _find_kind(source: Source, annotations: Annotations) -> list[Finding]:
    """Findings about annotated regions: the config doesn't mention them, ignores them, or tests on them."""
    if all(image.is_known_everywhere for image in annotations.images):
        return []
    split, path, found = source.name, annotations.path, []
    if source.annotation is None:
        found.append(Finding(PROBLEM, split, 'annotation kind', f"{path}: only regions are annotated; set "
                             "annotation='sparse' or 'complete' in the config"))
    if source.annotation == 'complete' and 'train' in source.splits:
        found.append(Finding(NOTE, split, 'annotation kind', f"{path}: only regions are annotated, and "
                             "annotation='complete' takes every cell outside them for background; if that is not what "
                             "you want to measure, set annotation='sparse' and choose a model that uses the regions"))
    if set(source.splits) - {'train'}:
        found.append(Finding(PROBLEM, split, 'sparse truth', f'{path}: {SPARSE_TRUTH}'))
    return found


def _find_names(split: str, annotations: Annotations, summary: Summary) -> list[Finding]:
    path = annotations.path
    found = [Finding(NOTE, split, 'class without category', f'{path}: no category is called {name!r}; fine if the '
                     'split has none of it, else correct the spelling') for name in annotations.absent_classes]
    found += [Finding(NOTE, split, 'category not used', f"{path}: category {name!r} is none of the config's classes; "
                      'no cell is of it') for name in annotations.unused_categories]
    found += [Finding(NOTE, split, 'class without cells', f'{path}: no cell is a {name!r}')
              for name, count in summary.classes.items() if not count and name not in annotations.absent_classes]
    found += [Finding(NOTE, split, 'attribute not used', f'{path}: attribute {key!r} of {count} cells is not in the '
                      'schema; fine if it is left out on purpose, else correct the spelling')
              for key, count in annotations.left_out_attributes.items()]
    if annotations.defects:
        return found  # cells with a defect aren't counted, and their attributes may be known
    found += [Finding(PROBLEM, split, 'attribute never known', f'{path}: no cell has a known {key!r}; check its '
                      'spelling, or leave it out of the schema')
              for key, counts in summary.attributes.items() if summary.cells and counts['unknown'] == summary.cells]
    return found


def _find_tiny(split: str, annotations: Annotations) -> list[Finding]:
    tiny = [(image, cell) for image in annotations.images for cell in image.cells
            if min(cell.box_xyxy[2] - cell.box_xyxy[0], cell.box_xyxy[3] - cell.box_xyxy[1]) < TINY_PX]
    if not tiny:
        return []
    image, cell = tiny[0]
    width, height = cell.box_xyxy[2] - cell.box_xyxy[0], cell.box_xyxy[3] - cell.box_xyxy[1]
    return [Finding(NOTE, split, 'tiny box', f'{annotations.path}: annotation {cell.annotation_id} of image '
                    f'{image.file_name}{and_more(tiny)}: the box is {width:g}x{height:g} px, too small for a cell; '
                    'remove it if it is a mistake')]


def _find_repeated(split: str, annotations: Annotations) -> list[Finding]:
    """The same box of the same class twice in an image: one of them can never be found."""
    repeated = []
    for image in annotations.images:
        seen = set()
        for cell in image.cells:
            if (cell.label, cell.box_xyxy) in seen:
                repeated.append((image, cell))
            seen.add((cell.label, cell.box_xyxy))
    if not repeated:
        return []
    image, cell = repeated[0]
    return [Finding(NOTE, split, 'cell twice', f'{annotations.path}: annotation {cell.annotation_id} of image '
                    f'{image.file_name}{and_more(repeated)}: has the box and the class of an earlier one; remove one '
                    'of them')]


def _find_described(source: Source, annotations: Annotations) -> list[Finding]:
    """Described classes without a known attribute, and other classes with attributes."""
    if not len(source.schema) or 'described' not in source.dataset.metainfo:
        return []
    declared = source.dataset.metainfo['described']
    cells = [cell for image in annotations.images for cell in image.cells if not cell.ignore]
    present = {source.classes[cell.label] for cell in cells}
    known = {source.classes[cell.label] for cell in cells if max(cell.attributes) >= 0}
    never = [name for name in declared if name in present - known]
    beside = [name for name in source.classes if name in known and name not in declared]
    found = []
    if never and known:
        found.append(Finding(NOTE, source.name, 'class without attributes', f'{annotations.path}: no cell of '
                             f'{", ".join(never)} has a known attribute; if that is so in all files, leave '
                             f"{'it' if len(never) == 1 else 'them'} out of metainfo=dict(described=...)"))
    if beside:
        found.append(Finding(NOTE, source.name, 'attributes not used', f'{annotations.path}: cells of '
                             f'{", ".join(beside)} have attributes, but metainfo does not name '
                             f"{'this class' if len(beside) == 1 else 'these classes'} as described"))
    return found


def _find_cells_outside(split: str, annotations: Annotations) -> list[Finding]:
    outside = [(image, cell) for image in annotations.images for cell in cells_outside_regions(image)]
    if not outside:
        return []
    image, cell = outside[0]
    return [Finding(PROBLEM, split, 'cell outside regions', f'{annotations.path}: annotation {cell.annotation_id} of '
                    f'image {image.file_name}: its centre lies in none of the annotated regions'
                    f'{and_more(outside)}; correct the region or the box')]


def cells_outside_regions(image: ImageTruth) -> list[TrueCell]:
    """Cells whose centre lies in none of the image's regions."""
    if not image.cells:
        return []
    boxes = torch.tensor([cell.box_xyxy for cell in image.cells])
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    inside = points_in_regions(centres, torch.tensor(image.regions_xyxy or ()).reshape(-1, 4))
    return [cell for cell, known in zip(image.cells, inside.tolist(), strict=True) if not known]


def _find_in_evaluators(cfg: Mapping, sources: Sequence[Source]) -> list[Finding]:
    """Findings about evaluators: the ``ann_file`` isn't that of the split, or orders the classes differently."""
    found: list[Finding] = []
    for split in ('val', 'test'):
        of_split = [source for source in sources if split in source.splits]
        for evaluator in _evaluators(cfg.get(f'{split}_evaluator')):
            if of_split and evaluator.get('ann_file'):
                found += _find_in_evaluator(split, evaluator, of_split)
    return found


def _find_in_evaluator(split: str, evaluator: Mapping, sources: Sequence[Source]) -> list[Finding]:
    path = evaluator['ann_file']
    read = [source for source in sources if osp.abspath(source.dataset.ann_file) == osp.abspath(path)]
    if not read:
        return [Finding(PROBLEM, split, 'evaluator', f'{evaluator["type"]} scores against {path}, but the split reads '
                        f'{sources[0].dataset.ann_file}; give both the same file')]
    found = _find_missing_keys(split, path) if str(evaluator['type']).endswith('CocoMetric') else []
    if evaluator['type'] in BY_ORDER:
        found += _find_renamed(split, path, read[0].classes, evaluator['type'])
    return found


def _find_missing_keys(split: str, path: str) -> list[Finding]:
    """Missing keys that only pycocotools needs: the run would fail after the first epoch."""
    lacking = [(annotation.get('id'), key) for annotation in _records(path, 'annotations')
               for key in ('area', 'iscrowd') if key not in annotation]
    if not lacking:
        return []
    identity, key = lacking[0]
    return [Finding(PROBLEM, split, 'key for scores', f'{path}: annotation {identity}: the key {key!r} is missing'
                    f'{and_more(lacking)}; COCO scores need area (width x height) and iscrowd (0 or 1)')]


def _find_renamed(split: str, path: str, classes: Sequence[str], reader: str) -> list[Finding]:
    """A problem if ``reader`` takes the file's category order as label order, and it differs from ``classes``."""
    names = [str(category.get('name')) for category in _records(path, 'categories')]
    listed = [name for name in names if name in classes]
    if not names or listed == [name for name in classes if name in listed] and len(listed) == len(classes):
        return []
    return [Finding(PROBLEM, split, 'class order', f'{path}: its categories are in the order {", ".join(listed)}, the '
                    f"config's classes in the order {', '.join(classes)}; MMDetection's {reader} goes by the file's "
                    'order and would mix them up: use its mmleuk counterpart')]


def _records(path: str, table: str) -> list[dict]:
    try:
        data = read_coco_json(path)
    except UserError:
        return []  # reading the split has reported the broken file already
    records = data.get(table) if isinstance(data, dict) else None
    return [record for record in records or () if isinstance(record, dict)]


def _evaluators(part: object) -> Iterator[Mapping]:
    if isinstance(part, Mapping):
        yield part
        part = part.get('metrics')
    if isinstance(part, (list, tuple)):
        for each in part:
            yield from _evaluators(each)
