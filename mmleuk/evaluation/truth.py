"""What an evaluation compares with: the cells of a COCO JSON file as arrays, checked record by record.

Boxes stay exactly as the file has them (a box is not cut at the image's border), so that figures equal pycocotools'.

Legend: I images, G cells, K classes.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmleuk.datasets.validation import Defect, parse_regions
from mmleuk.errors import UserError
from mmleuk.utils.json_files import read_json

ImageId = int | str


@dataclass(frozen=True)
class ImageInfo:
    """One image of the annotation file.

    Args:
        image_id, file_name: as in the file.
        size_hw: height and width in pixels.
        domain: ``images[].domain``; None where not stated.
        factors: ``images[].factors`` as the file has it; see :mod:`mmleuk.evaluation.groups`.
        complete: whether the whole image is annotated: no ``annotated_region``, or one that covers it.
    """

    image_id: ImageId
    file_name: str
    size_hw: tuple[int, int]
    domain: str | None = None
    factors: object = None
    complete: bool = True


@dataclass(frozen=True)
class GroundTruth:
    """The cells of all images, ordered by image, then as in the file.

    Args:
        source: the file's path, for messages.
        classes: K names: the file's categories by id, then classes that only the detections have.
        category_ids: id of each category of the file; shorter than ``classes`` by what was added.
        images: I images by id, the order in which pycocotools takes them.
        image_of: (G,) int64 place in ``images``.
        labels: (G,) int64 place in ``classes``.
        boxes_xywh: (G, 4) float64 pixels.
        areas: (G,) float64; ``area`` of the file (COCO's size ranges rest on it), else width times height.
        crowd: (G,) bool; detections on these count neither way.
    """

    source: str
    classes: tuple[str, ...]
    category_ids: tuple[ImageId, ...]
    images: tuple[ImageInfo, ...]
    image_of: NDArray[np.int64]
    labels: NDArray[np.int64]
    boxes_xywh: NDArray[np.float64]
    areas: NDArray[np.float64]
    crowd: NDArray[np.bool_]

    def with_classes(self, names: Sequence[str]) -> GroundTruth:
        """The same cells, with classes added that no cell of the file has."""
        return replace(self, classes=self.classes + tuple(dict.fromkeys(n for n in names if n not in self.classes)))


def read_truth(path: str | Path) -> GroundTruth:
    """Read and check a COCO annotation file.

    Raises:
        UserError: the file is missing, truncated or no COCO file, or a record is wrong; names file and record.
    """
    if not Path(path).is_file():
        raise UserError(f'{path}: no such file; the first argument is the COCO JSON file with the true cells')
    data = read_json(path)
    tables = _tables(data, str(path))
    record = 'the file'
    try:
        categories: dict[ImageId, str] = {}
        for place, raw in enumerate(tables['categories']):
            record = f'category {place} of the list'
            _add_category(categories, raw)
        images: dict[ImageId, ImageInfo] = {}
        for place, raw in enumerate(tables['images']):
            record = f'image {place} of the list'
            _add_image(images, raw)
        ordered = sorted(images.values(), key=lambda image: (isinstance(image.image_id, str), image.image_id))
        ids = sorted(categories, key=lambda key: (isinstance(key, str), key))
        places = {image.image_id: place for place, image in enumerate(ordered)}
        labels = {key: label for label, key in enumerate(ids)}
        rows = []
        for place, raw in enumerate(tables['annotations']):
            record = f'annotation {place} of the list'
            rows.append(_cell(raw, places, labels))
    except Defect as defect:
        raise UserError(f'{path}: {record}: {defect.what}; {defect.mend}') from defect
    table: NDArray = np.array(rows, np.float64).reshape(-1, 8)
    table = table[np.argsort(table[:, 0], kind='stable')]
    return GroundTruth(str(path), tuple(categories[key] for key in ids), tuple(ids), tuple(ordered),
                       image_of=table[:, 0].astype(np.int64), labels=table[:, 1].astype(np.int64),
                       boxes_xywh=np.ascontiguousarray(table[:, 2:6]), areas=table[:, 6].copy(),
                       crowd=table[:, 7].astype(bool))


def _tables(data: object, path: str) -> dict[str, list]:
    if not isinstance(data, dict):
        raise UserError(f'{path}: holds a {type(data).__name__}, not the dict of a COCO JSON file; annotations come '
                        'first, predictions second')
    for key in ('images', 'annotations', 'categories'):
        if not isinstance(data.get(key), list):
            raise UserError(f'{path}: the key {key!r} is missing or no list; a COCO JSON file has images, annotations '
                            'and categories')
    for key in ('images', 'categories'):
        if not data[key]:
            raise UserError(f'{path}: {key} is empty; there is nothing to evaluate')
    return data


def _add_category(categories: dict[ImageId, str], raw: object) -> None:
    key, name = needed_id(raw, 'id'), str(_needed(raw, 'name'))
    if key in categories or name in categories.values():
        raise Defect(f'the id {key!r} or the name {name!r} stands twice', 'give each class one category')
    categories[key] = name


def _add_image(images: dict[ImageId, ImageInfo], raw: Any) -> None:
    key = needed_id(raw, 'id')
    if key in images:
        raise Defect(f'the id {key!r} stands twice', 'give every image its own id')
    size_hw = (_pixels(raw, 'height'), _pixels(raw, 'width'))
    region, domain = raw.get('annotated_region'), raw.get('domain')
    regions = None if region is None else parse_regions(region, size_hw[::-1], 1.0)
    whole = (0.0, 0.0, float(size_hw[1]), float(size_hw[0]))
    images[key] = ImageInfo(key, str(_needed(raw, 'file_name')), size_hw, None if domain is None else str(domain),
                            raw.get('factors'), regions is None or whole in regions)


def _cell(raw: Any, places: Mapping[ImageId, int], labels: Mapping[ImageId, int]) -> tuple[float, ...]:
    """Image, label, x, y, w, h, area, crowd."""
    image_id, category_id = needed_id(raw, 'image_id'), needed_id(raw, 'category_id')
    if image_id not in places:
        raise Defect(f'image_id {image_id!r} is no image of the file', 'correct it, or add the image')
    if category_id not in labels:
        raise Defect(f'category_id {category_id!r} is no category of the file',
                     f'known are {", ".join(map(str, labels))}')
    box = _needed(raw, 'bbox')
    fault = box_fault(box)
    if fault or not (box[2] > 0 and box[3] > 0):
        raise Defect(fault or f'bbox {box} has no area', 'a cell needs [x, y, width, height] in pixels, sizes above 0')
    area = raw.get('area', box[2] * box[3])
    if not _is_number(area) or not area >= 0:
        raise Defect(f'area is {area!r}', 'it needs a number of square pixels')
    return (places[image_id], labels[category_id], *box, area, bool(raw.get('iscrowd', 0)))


def _needed(record: Any, key: str) -> Any:
    if not isinstance(record, Mapping) or record.get(key) is None:
        raise Defect(f'the key {key!r} is missing', f'every record here is a dict with {key!r}')
    return record[key]


def needed_id(record: Any, key: str) -> ImageId:
    """An id: a whole number or a text.

    Raises:
        Defect: it is missing or something else.
    """
    value = _needed(record, key)
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise Defect(f'{key} is {value!r}', 'it needs a whole number or a text')
    return value


def _pixels(record: Any, key: str) -> int:
    value = _needed(record, key)
    if not _is_number(value) or value <= 0 or value != int(value):
        raise Defect(f'{key} is {value!r}', 'it needs a positive whole number of pixels')
    return int(value)


def box_fault(box: object) -> str | None:
    """What is wrong with an [x, y, width, height]; None when it is four finite numbers without a negative size.

    >>> box_fault([1, 2, -3, 4])
    'bbox [1, 2, -3, 4] has a negative size'
    """
    if not isinstance(box, (list, tuple)) or len(box) != 4 or not all(map(_is_number, box)):
        return f'bbox is {box!r}, not four finite numbers'
    return f'bbox {box} has a negative size' if min(box[2:]) < 0 else None


def _is_number(value: object) -> bool:
    # The comparison is false for NaN, for infinity, and for whole numbers that no float holds.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
