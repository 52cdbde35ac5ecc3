"""Counts and findings of one split's annotations. Pure but for reading nothing: takes what was read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import torch

from mmleuk.datasets.annotations import Annotations, Cell, FilmImage
from mmleuk.datasets.check.findings import NOTE, PROBLEM, Finding, and_more
from mmleuk.datasets.check.sources import Source
from mmleuk.datasets.check.sparse import SPARSE_TRUTH
from mmleuk.datasets.validation import RecordDefect
from mmleuk.schema import AttributeSchema
from mmleuk.structures.regions import points_in_regions


@dataclass(frozen=True)
class Summary:
    """Counts of one split; ``attributes`` counts each attribute's values by name, 'unknown' among them."""

    split: str
    images: int
    images_without_cells: int
    ignored_cells: int
    classes: dict[str, int]
    attributes: dict[str, dict[str, int]]

    @property
    def cells(self) -> int:
        """Number of cells that are not ignored."""
        return sum(self.classes.values())


def summarize(split: str, annotations: Annotations, classes: tuple[str, ...], schema: AttributeSchema) -> Summary:
    """Count images, cells per class and cells per attribute value; ignored cells apart."""
    all_cells = [cell for image in annotations.images for cell in image.cells]
    cells = [cell for cell in all_cells if not cell.ignore]
    labels = Counter(cell.label for cell in cells)
    return Summary(
        split=split, images=len(annotations.images),
        images_without_cells=sum(not image.cells for image in annotations.images),
        ignored_cells=len(all_cells) - len(cells),
        classes={name: labels[label] for label, name in enumerate(classes)},
        attributes={key: _count_values(cells, position, schema) for position, key in enumerate(schema.keys)})


def _count_values(cells: list[Cell], position: int, schema: AttributeSchema) -> dict[str, int]:
    key = schema.keys[position]
    counts = Counter(schema.decode(key, cell.attributes[position]) for cell in cells)
    return {name: counts[name] for name in (*schema[key].values, 'unknown')}


def find_in_annotations(source: Source, annotations: Annotations, summary: Summary) -> list[Finding]:
    """Findings of one split: defects, names that don't match, emptiness, cells outside regions."""
    split = source.name
    found = _find_defects(split, annotations)
    found += _find_names(split, annotations, summary)
    if not summary.cells and not annotations.defects:
        found.append(Finding(PROBLEM, split, 'empty split', f'{annotations.path}: holds no cell of '
                             f'{", ".join(source.classes)}; check ann_file and the classes'))
    if source.annotation == 'sparse':
        found += _find_cells_outside(split, annotations)
    return found + _find_kind(source, annotations)


def _find_defects(split: str, annotations: Annotations) -> list[Finding]:
    """One finding for all defects of a kind: the first of them and their number."""
    alike: dict[str, list[RecordDefect]] = {}
    for defect in annotations.defects:
        alike.setdefault(defect.kind, []).append(defect)
    return [Finding(PROBLEM, split, 'defect', f'{annotations.path}: {first.record}{and_more(1 + len(others))}: '
                    f'{first.what}; {first.mend}') for first, *others in alike.values()]


def _find_kind(source: Source, annotations: Annotations) -> list[Finding]:
    """What comes of regions that the config doesn't speak of, or speaks against, or that are tested on."""
    if all(image.is_known_everywhere for image in annotations.images):
        return []
    split, path, found = source.name, annotations.path, []
    if source.annotation is None:
        found.append(Finding(PROBLEM, split, 'annotation kind', f"{path}: only regions are annotated; say "
                             "annotation='sparse' or 'complete' in the config"))
    if source.annotation == 'complete' and 'train' in source.splits:
        found.append(Finding(NOTE, split, 'annotation kind', f"{path}: only regions are annotated, and "
                             "annotation='complete' takes every cell outside them for background; if that is not what "
                             "you want to measure, say annotation='sparse' and choose a model that looks at regions"))
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
        return found  # cells with a defect are not counted: what seems never known may be known in them
    found += [Finding(PROBLEM, split, 'attribute never known', f'{path}: no cell has a known {key!r}; check its '
                      'spelling, or leave it out of the schema')
              for key, counts in summary.attributes.items() if summary.cells and counts['unknown'] == summary.cells]
    return found


def _find_cells_outside(split: str, annotations: Annotations) -> list[Finding]:
    outside = [(image, cell) for image in annotations.images for cell in cells_outside_regions(image)]
    if not outside:
        return []
    image, cell = outside[0]
    return [Finding(PROBLEM, split, 'cell outside regions', f'{annotations.path}: annotation {cell.annotation_id} of '
                    f'image {image.file_name}: its centre lies in none of the annotated regions'
                    f'{and_more(len(outside))}; correct the region or the box')]


def cells_outside_regions(image: FilmImage) -> list[Cell]:
    """Cells whose centre lies in none of the image's regions."""
    if not image.cells:
        return []
    boxes = torch.tensor([cell.box_xyxy for cell in image.cells])
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    inside = points_in_regions(centres, torch.tensor(image.regions_xyxy or ()).reshape(-1, 4))
    return [cell for cell, known in zip(image.cells, inside.tolist(), strict=True) if not known]
