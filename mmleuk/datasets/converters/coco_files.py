"""COCO JSON <-> label files.

The side file (``mmleuk_side.json``) is the COCO JSON that the labels were written from, with one more key,
``label_files``, for the format. It has what label files lack (ids, attributes, regions, domain, factors, crowds,
schema, all digits). Each cell in it can be compared with the labels, to see whether they changed.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmleuk.datasets.annotations import AnnotationReader
from mmleuk.datasets.converters.labels import LabelFile, LabelFormat, check_class_names, label_path
from mmleuk.datasets.release import normalise_annotations
from mmleuk.errors import UserError
from mmleuk.schema import AttributeSchema
from mmleuk.structures.ground_truth import ImageTruth
from mmleuk.utils.json_files import read_json

SIDE_FILE = 'mmleuk_side.json'
SIDE_KEY = 'label_files'


@dataclass(frozen=True)
class CocoFile:
    """A checked COCO JSON: the parsed data of the file, and its typed records."""

    path: str
    data: dict[str, Any]
    images: tuple[ImageTruth, ...]
    class_names: tuple[str, ...]


def read_coco(path: str | Path) -> CocoFile:
    """Read and check a COCO JSON with classes and attributes of any kind.

    Raises:
        UserError: the file has a defect. The message names file and record.
    """
    return check_coco(read_json(path), path)


def check_coco(data: Any, path: str | Path) -> CocoFile:
    """As :func:`read_coco`, for a file's parsed content; ``path`` is for messages."""
    data = normalise_annotations(data)
    categories = data.get('categories') if isinstance(data, dict) else None
    entries = categories if isinstance(categories, list) else []
    names = [entry.get('name') for entry in entries if isinstance(entry, Mapping)]
    schema = data.get('attributes') if isinstance(data, dict) else None
    if schema is not None and not isinstance(schema, Mapping):
        raise UserError(f'{path}: attributes is no dict of attribute: value names')
    classes = [name for name in names if isinstance(name, str)]
    annotations = AnnotationReader(classes, AttributeSchema.from_dict(schema or {})).parse(data, path)
    annotations.raise_defects()
    check_class_names(names, str(path))
    return CocoFile(str(path), data, annotations.images, tuple(classes))


def make_label_files(coco: CocoFile, label_format: LabelFormat) -> dict[str, LabelFile]:
    """Label files by path in the data set's folder.

    Raises:
        UserError: an image's name leads out of the folder, or two images get the same label file.
    """
    truncated = {annotation['id'] for annotation in coco.data['annotations'] if annotation.get('truncated')}
    files: dict[str, LabelFile] = {}
    for image in coco.images:
        path = label_path(label_format, image.file_name)
        if path in files:
            raise UserError(f'{coco.path}: images {files[path].file_name} and {image.file_name} would share the labels '
                            f'{path}; rename one of them')
        size = image.width, image.height
        labels = tuple(
            label_format.make_label(coco.class_names[cell.label], cell.box_xyxy, size, cell.ignore,
                                    cell.annotation_id in truncated) for cell in image.cells)
        files[path] = LabelFile(path, image.file_name, size, labels)
    return files


def keep_images(coco: CocoFile, paths: Container[str], label_format: LabelFormat) -> CocoFile:
    """The part of a COCO JSON for the images with labels at ``paths`` in the data set's folder."""
    images = tuple(image for path, image in zip(make_label_files(coco, label_format), coco.images, strict=True)
                   if path in paths)
    kept = {image.image_id for image in images}
    tables = dict(images=[image for image in coco.data['images'] if image['id'] in kept],
                  annotations=[cell for cell in coco.data['annotations'] if cell['image_id'] in kept])
    return CocoFile(coco.path, coco.data | tables, images, coco.class_names)


def make_side_data(coco: CocoFile, label_format: LabelFormat, corners: str) -> dict[str, Any]:
    """The side file's content."""
    stated = dict(format=label_format.name)
    if label_format.name == 'voc':
        stated['corners'] = corners
    return coco.data | {SIDE_KEY: stated}
