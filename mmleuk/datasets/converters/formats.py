"""Convert between COCO, VOC and YOLO."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from mmleuk.datasets.converters.coco_files import (
    SIDE_FILE,
    SIDE_KEY,
    CocoFile,
    keep_images,
    make_label_files,
    make_side_data,
    read_coco,
)
from mmleuk.datasets.converters.folders import find_folders, find_voc, find_yolo, image_size
from mmleuk.datasets.converters.labels import LabelFile, LabelFormat, check_class_names
from mmleuk.datasets.converters.plain_yolo import CLASSES_FILE, YoloFormat, find_classes
from mmleuk.datasets.converters.restore import make_annotation, make_image, restore
from mmleuk.datasets.converters.voc import VocFormat
from mmleuk.errors import UserError
from mmleuk.utils.json_files import write_json
from mmleuk.utils.new_folder import new_folder, write_text

FORMATS = ('coco', 'voc', 'yolo')


@dataclass(frozen=True)
class Reading:
    """How to read a folder of labels.

    Args:
        corners: VOC's corners, 'pixels' or 'edges'.
        images: folder of the images; if given, every image must be there. Default: ``images/`` or ``JPEGImages/``
            beside the labels, used only for what the labels lack: YOLO's names and sizes, VOC's names without suffix
            and missing sizes.
        classes: class names in order; default: those of the side file, those of YOLO's list (:func:`find_classes`), or
            VOC's in alphabetical order.
        split: only this split; see :func:`find_folders`. VOC also has lists, ``ImageSets/Main/SPLIT.txt``.
        listing: only the images in this list, one per line (VOC).
        side_file: default: ``mmleuk_side.json`` in the folder if it exists; '' for none.
        keep_changed: accept labels that were changed since the side file was written; see ``restore``.
        allow_unlabelled: take images without a YOLO text as images without cells.
        max_overhang_px: a box that isn't in the side file may stick out of its image by this much; it is cut.
    """

    corners: str = 'pixels'
    images: Path | None = None
    classes: tuple[str, ...] = ()
    split: str | None = None
    listing: Path | None = None
    side_file: str | Path | None = None
    keep_changed: bool = False
    allow_unlabelled: bool = False
    max_overhang_px: float = 1.0


def read_labels(source: Path, source_format: str, reading: Reading) -> tuple[dict[str, Any], str]:
    """COCO JSON from a folder of VOC or YOLO labels, and a text on what was lost or changed, one line each.

    Raises:
        UserError: there is a defect. The message names file and record.
    """
    if source.is_file():
        raise UserError(f'{source}: is a file; name the folder of the labels')
    label_format: LabelFormat = VocFormat(reading.corners) if source_format == 'voc' else YoloFormat()
    listing, split = reading.listing, reading.split
    if source_format == 'voc' and split and not (source / split).is_dir():
        listing, split = source / 'ImageSets' / 'Main' / f'{split}.txt', None
    folders = find_folders(source, source_format, split, reading.images)
    side = _side(folders.source, source_format, reading)
    if side is not None and folders.source == source and split is not None:
        raise UserError(f'{folders.labels}: the side file is of all splits; convert the whole folder, or give '
                        '--no-side-file')
    classes: Sequence[str] = reading.classes
    notes: list[str] = []
    if source_format == 'voc':
        found = find_voc(folders, VocFormat(reading.corners), listing, check_images=reading.images is not None)
        _check_corners(found.values(), reading.corners)
    else:
        if not classes:
            classes, notes = _yolo_classes(folders.source, side)
        check_class_names(classes, str(source))
        known = {path: labels.file_name for path, labels in _written(side, label_format).items()}
        found = find_yolo(folders, YoloFormat(), classes, known, reading.allow_unlabelled,
                          check_images=reading.images is not None or reading.allow_unlabelled)
        outlines = sum(label.is_outline for labels in found.values() for label in labels.labels)
        notes += [f'{outlines} polygons became the boxes around them'] if outlines else []
    _check_names(found.values())
    if side is None:
        data = _plain(found, label_format, replace(reading, images=folders.images), classes)
        return data, '\n'.join([*notes, 'no side file: ids are new, attributes, regions, domains and factors unknown, '
                                f'and boxes as exact as {source_format.upper()} is'])
    if listing is not None:
        side = keep_images(side, found, label_format)
    written = _written(side, label_format)
    sizes = {path: image_size(folders.images, labels) for path, labels in found.items()
             if path not in written and labels.size_wh is None}
    data, changes = restore(found, side, label_format, keep_changed=reading.keep_changed, sizes=sizes)
    if changes:
        notes.append(f'labels were changed since the side file was written: {changes}; new and moved cells have no '
                     'attributes')
    return data, '\n'.join(notes)


def _check_corners(files: Iterable[LabelFile], corners: str) -> None:
    """Refuse corners that start at 0: VOC counts pixels from 1, so all boxes would be one pixel off."""
    at_zero = [label for labels in files for label in labels.labels if 0 <= min(label.numbers[:2]) < 1]
    if corners == 'pixels' and at_zero:
        raise UserError(f'{at_zero[0].where}: {at_zero[0].class_name} starts at {min(at_zero[0].numbers[:2])} '
                        f"({len(at_zero)} such objects), yet VOC's pixels count from 1: these are plain corners. Give "
                        '--voc-corners edges (in a config corners=\'edges\'), or correct these objects')


def _written(side: CocoFile | None, label_format: LabelFormat) -> dict[str, LabelFile]:
    return make_label_files(side, label_format) if side else {}


def _side(source: Path, source_format: str, reading: Reading) -> CocoFile | None:
    if reading.side_file == '':
        return None
    path = Path(reading.side_file) if reading.side_file else source / SIDE_FILE
    if not reading.side_file and not path.exists():
        return None
    side = read_coco(path)
    stated = side.data.get(SIDE_KEY)
    if not isinstance(stated, Mapping) or stated.get('format') != source_format:
        raise UserError(f'{path}: is no side file of {source_format.upper()} labels (its {SIDE_KEY} is {stated!r}); '
                        'give the right one with --side-file, or --no-side-file')
    if reading.classes and source_format == 'voc' and set(reading.classes) != set(side.class_names):
        raise UserError(f'{path}: has the classes {", ".join(side.class_names)}, not those of --classes; leave '
                        'that out, or give --no-side-file')
    if stated.get('corners', reading.corners) != reading.corners:
        raise UserError(f'{path}: the labels were written with --voc-corners {stated["corners"]} (corners in a '
                        'config); read them so')
    return side


def _yolo_classes(source: Path, side: CocoFile | None) -> tuple[tuple[str, ...], list[str]]:
    """Class names, and a note if their list is in another folder."""
    if side is not None and not (source / CLASSES_FILE).exists():
        return side.class_names, []
    classes, listed = find_classes(source)
    return classes, [] if listed.parent == source.absolute() else [f'class names are those of {listed}']


def _check_names(files: Iterable[LabelFile]) -> None:
    seen: dict[str, str] = {}
    for labels in files:
        if labels.file_name in seen:
            raise UserError(f'{labels.where}: is of image {labels.file_name}, and so is {seen[labels.file_name]}; keep '
                            'one of them')
        seen[labels.file_name] = labels.where


def _plain(found: Mapping[str, LabelFile], label_format: LabelFormat, reading: Reading,
           classes: Sequence[str]) -> dict[str, Any]:
    """COCO JSON from labels only; ids start at 1."""
    names = list(classes) or sorted({label.class_name for labels in found.values() for label in labels.labels})
    check_class_names(names, 'the classes')
    categories: dict[str, int | str] = {name: index for index, name in enumerate(names, 1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, labels in enumerate(found.values(), 1):
        size = labels.size_wh or image_size(reading.images, labels)
        images.append(make_image(labels, image_id, size))
        annotations += [make_annotation(label, len(annotations) + index, image_id, size, categories, label_format,
                                        reading.max_overhang_px) for index, label in enumerate(labels.labels, 1)]
    return dict(images=images, annotations=annotations,
                categories=[dict(id=identity, name=name) for name, identity in categories.items()])


def _check_list_is_alone(coco: CocoFile, files: Iterable[LabelFile]) -> None:
    """Refuse a label file with the name of the list of classes: every tool would read it as that list."""
    for labels in files:
        if PurePosixPath(labels.where).name == CLASSES_FILE:
            raise UserError(f'{coco.path}: the labels of image {labels.file_name} would be {labels.where}, and YOLO '
                            f'lists the classes in {CLASSES_FILE}; rename the image, or convert to VOC')


def write_labels(coco: CocoFile, target_format: str, out: Path, corners: str = 'pixels') -> int:
    """Write VOC or YOLO labels and their side file into the new folder ``out``; returns the number of label files.

    Raises:
        UserError: a value can't be written in this format; then no folder is made.
    """
    label_format: LabelFormat = VocFormat(corners) if target_format == 'voc' else YoloFormat()
    files = make_label_files(coco, label_format)
    if target_format == 'yolo':
        _check_list_is_alone(coco, files.values())
    with new_folder(out) as folder:
        (folder / label_format.folder).mkdir()
        for path, labels in files.items():
            write_text(folder / path, label_format.write(labels, coco.class_names))
        if target_format == 'yolo':
            write_text(folder / CLASSES_FILE, ''.join(f'{name}\n' for name in coco.class_names))
        write_json(folder / SIDE_FILE, make_side_data(coco, label_format, corners))
    return len(files)
