"""Label files and their side file -> COCO JSON. Nothing is lost if the labels weren't changed.

Changes are found cell by cell, by class and box in the label files.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mmleuk.datasets.converters.coco_files import SIDE_KEY, CocoFile, make_label_files
from mmleuk.datasets.converters.labels import Label, LabelFile, LabelFormat, SizeWH
from mmleuk.datasets.validation import Defect, parse_rectangle
from mmleuk.errors import UserError
from mmleuk.structures.ground_truth import RecordId

Files = Mapping[str, LabelFile]


@dataclass
class Changes:
    """How label files differ from those that were written with the side file; ``first`` describes one case."""

    images_added: int = 0
    images_removed: int = 0
    cells_added: int = 0
    cells_removed: int = 0
    first: str = ''
    kept: dict[str, list[int]] = field(default_factory=dict)
    new: dict[str, list[Label]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.images_added or self.images_removed or self.cells_added or self.cells_removed)

    def __str__(self) -> str:
        counts = [(self.images_added, 'images more'), (self.images_removed, 'images less'),
                  (self.cells_added, 'cells new or moved'), (self.cells_removed, 'cells gone or moved')]
        return ', '.join(f'{count} {noun}' for count, noun in counts if count)


def find_changes(found: Files, written: Files) -> Changes:
    """Compare labels with those that were written with the side file.

    Returns:
        Changes. Per label file, ``kept`` has the indices of written cells that are unchanged, and ``new`` the labels
        that were not written.

    Raises:
        UserError: an image's size or name differs: the labels belong to another image.
    """
    changes = Changes()
    for path, labels in found.items():
        before = written.get(path)
        changes.images_added += before is None
        if before is not None:
            _check_same_image(labels, before)
        _match(path, labels, before.labels if before else (), changes)
    gone = [path for path in written if path not in found]
    changes.images_removed = len(gone)
    changes.cells_removed += sum(len(written[path].labels) for path in gone)
    changes.first = changes.first or (f'{gone[0]} is gone' if gone else '')
    if changes.images_added and not changes.first:
        changes.first = f'{next(path for path in found if path not in written)} is new'
    return changes


def _check_same_image(labels: LabelFile, before: LabelFile) -> None:
    if labels.size_wh not in (None, before.size_wh) or labels.file_name != before.file_name:
        raise UserError(f'{labels.where}: is of image {labels.file_name} of {labels.size_wh} px, in the side file it '
                        f'is {before.file_name} of {before.size_wh} px; they belong to different data sets: give the '
                        'right side file, or --no-side-file')


def _match(path: str, labels: LabelFile, before: tuple[Label, ...], changes: Changes) -> None:
    """Match equal cells of both sides; their order in the file doesn't matter."""
    waiting: dict[Label, list[int]] = defaultdict(list)
    for index, label in enumerate(before):
        waiting[label].append(index)
    kept, new = [], []
    for label in labels.labels:
        if waiting[label]:
            kept.append(waiting[label].pop(0))
        else:
            new.append(label)
    gone = Counter({label: len(indices) for label, indices in waiting.items() if indices})
    changes.cells_added += len(new)
    changes.cells_removed += gone.total()
    if (new or gone) and not changes.first:
        label = (new or list(gone))[0]
        changes.first = (f'{labels.where}: {label.class_name} {" ".join(map(str, label.numbers))} '
                         f'{"is new" if new else "is gone"}')
    changes.kept[path], changes.new[path] = kept, new


def restore(found: Files, side: CocoFile, label_format: LabelFormat, *, keep_changed: bool = False,
            sizes: Mapping[str, SizeWH] | None = None) -> tuple[dict[str, Any], Changes]:
    """COCO JSON from labels and their side file.

    Args:
        found: label files by path in the data set's folder.
        side: the side file.
        label_format: of the labels.
        keep_changed: accept changed labels: unchanged cells keep all their data; new cells get an id and no attributes;
            missing cells and images are removed.
        sizes: of images that the side file lacks, by path of the label file.

    Raises:
        UserError: the labels were changed, and ``keep_changed`` is off.
    """
    changes = find_changes(found, make_label_files(side, label_format))
    data = {key: value for key, value in side.data.items() if key != SIDE_KEY}
    if not changes:
        return data, changes
    if not keep_changed:
        raise UserError(f'{side.path}: was written for other labels than those here ({changes}; first: '
                        f'{changes.first}). Give --changed-labels keep (unchanged cells keep their attributes, new '
                        'ones have none), --no-side-file (labels alone; in a config '
                        'use_side_file=False), or restore the labels')
    return _merge(found, side, data, changes, label_format, sizes or {}), changes


def _merge(found: Files, side: CocoFile, data: dict[str, Any], changes: Changes, label_format: LabelFormat,
           sizes: Mapping[str, SizeWH]) -> dict[str, Any]:
    written = dict(zip(make_label_files(side, label_format), side.images, strict=True))
    images = [image for image, path in zip(data['images'], written, strict=True) if path in found]
    kept_ids = {written[path].cells[index].annotation_id for path, indices in changes.kept.items() for index in indices}
    annotations = [annotation for annotation in data['annotations'] if annotation['id'] in kept_ids]
    categories = {category['name']: category['id'] for category in data['categories']}
    next_image, next_cell = (_next_id(data[key]) for key in ('images', 'annotations'))
    for path, labels in found.items():
        size = labels.size_wh or sizes.get(path)
        if path in written:
            image_id, size = written[path].image_id, (written[path].width, written[path].height)
        else:
            image_id, next_image = next_image, next_image + 1
            images.append(make_image(labels, image_id, size))
        for label in changes.new[path]:
            annotations.append(make_annotation(label, next_cell, image_id, size, categories, label_format))
            next_cell += 1
    return data | dict(images=images, annotations=annotations)


def _next_id(records: list[dict[str, Any]]) -> int:
    return max((record['id'] for record in records if isinstance(record['id'], int)), default=0) + 1


def make_image(labels: LabelFile, image_id: int, size_wh: SizeWH | None) -> dict[str, Any]:
    """COCO's record of an image that only the labels have."""
    if size_wh is None:
        raise UserError(f'{labels.where}: the size of image {labels.file_name} is needed; give --images, the folder of '
                        'the images')
    return dict(id=image_id, file_name=labels.file_name, width=size_wh[0], height=size_wh[1])


def make_annotation(label: Label, annotation_id: int, image_id: RecordId, size_wh: SizeWH | None,
                    categories: Mapping[str, int | str], label_format: LabelFormat,
                    max_overhang_px: float = 1.0) -> dict[str, Any]:
    """COCO's record of a cell that only the labels have; difficult cells become crowds, which no score counts.

    Raises:
        UserError: the class isn't in the list, or the box isn't in the image.
    """
    if label.class_name not in categories:
        raise UserError(f'{label.where}: class {label.class_name!r} is not in the list; known are '
                        f'{", ".join(categories)}')
    if size_wh is None:
        raise UserError(f'{label.where}: the size of its image is needed; give --images, the folder of the images')
    raw = label_format.box_xywh(label, size_wh)
    try:
        x1, y1, x2, y2 = parse_rectangle(raw, size_wh, max_overhang_px, noun='box [x, y, width, height]')
    except Defect as defect:
        stated = ' '.join(f'{number:g}' for number in label.numbers)
        raise UserError(f'{label.where}: {label.class_name} {stated}: {defect.what}; {defect.fix}') from defect
    box = raw if (x1, y1) == tuple(raw[:2]) and (x2, y2) == (raw[0] + raw[2], raw[1] + raw[3]) else [
        round(value, 6) for value in (x1, y1, x2 - x1, y2 - y1)]
    annotation = dict(id=annotation_id, image_id=image_id, category_id=categories[label.class_name], bbox=box,
                      area=box[2] * box[3], iscrowd=int(label.ignored))
    return annotation | (dict(truncated=1) if label.truncated else {})
