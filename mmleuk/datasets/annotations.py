"""COCO JSON with attributes and annotated regions -> typed, checked records.

Classes are matched by name; the order of the file's categories doesn't matter. Nothing is silently dropped: a defect
raises an error, and attributes that the schema lacks are counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmleuk.datasets.file_names import compile_name_pattern, parse_file_name
from mmleuk.datasets.release import normalise_annotations
from mmleuk.datasets.validation import (
    MAX_SIDE_PX,
    Defect,
    RecordDefect,
    needed,
    parse_area,
    parse_attributes,
    parse_flag,
    parse_image_path,
    parse_name,
    parse_rectangle,
    parse_regions,
    parse_size,
    recognise_boxes,
    schema_spellings,
)
from mmleuk.errors import UserError
from mmleuk.schema import AttributeSchema, normalise_class_name
from mmleuk.structures.ground_truth import GroundTruth, ImageTruth, RecordId, TrueCell
from mmleuk.utils.json_files import read_json


@dataclass(frozen=True)
class Annotations:
    """A read annotation file.

    Args:
        classes: names by label.
        category_ids: of the file, by name.
        images: in the file's order.
        absent_classes: requested classes that aren't categories of the file.
        unused_categories: categories of the file that aren't requested; no annotation has them.
        left_out_attributes: attribute keys that the schema lacks, with the number of cells that have them.
        defects: in the file's order. Records with a defect are left out of the fields above.
    """

    path: str
    classes: tuple[str, ...]
    category_ids: Mapping[str, RecordId]
    images: tuple[ImageTruth, ...]
    absent_classes: tuple[str, ...]
    unused_categories: tuple[str, ...]
    left_out_attributes: Mapping[str, int]
    defects: tuple[RecordDefect, ...]

    def raise_defects(self) -> None:
        """Raise the first defect as a UserError that names the number of others."""
        if self.defects:
            more = len(self.defects) - 1
            raise UserError(f'{self.path}: {self.defects[0]}' + (f' (and {more} more in this file)' if more else ''))


def read_annotations(path: str | Path, classes: Sequence[str], schema: AttributeSchema,
                     **options: object) -> Annotations:
    """Read and validate a file; for the options see :class:`AnnotationReader`.

    Raises:
        UserError: there is a defect. The message names the first one, its file and record, how to fix it, and the
            number of others.
    """
    annotations = AnnotationReader(classes, schema, **options).read(path)  # type: ignore[arg-type]
    annotations.raise_defects()
    return annotations


def read_coco_json(path: str | Path, backend_args: dict | None = None) -> Any:
    """The content of a COCO JSON file as :func:`mmleuk.datasets.release.normalise_annotations` leaves it, unchecked.

    Raises:
        UserError: the file cannot be read as JSON.
    """
    return normalise_annotations(read_json(path, backend_args))


def read_ground_truth(path: str | Path) -> GroundTruth:
    """Like :func:`parse_ground_truth`, from a file."""
    return parse_ground_truth(read_json(path), path)


def parse_ground_truth(content: object, path: str | Path) -> GroundTruth:
    """Parse an annotation file with its own classes and without attributes.

    Boxes may stick out of the image, as COCO allows. An image without ``annotated_region`` is annotated everywhere,
    unless another image of the file is only partly annotated.

    Raises:
        UserError: there is a defect, or an image has no region in a file with partly annotated images.
    """
    reader = AnnotationReader(None, AttributeSchema(), max_overhang_px=MAX_SIDE_PX)
    found = reader.parse(content, path)
    found.raise_defects()
    partly = [image.file_name for image in found.images if not image.is_known_everywhere]
    silent = [image.file_name for image in found.images if image.regions_xyxy is None]
    if partly and silent:
        raise UserError(f'{path}: image {silent[0]}: has no annotated_region, but image {partly[0]} is only partly '
                        'annotated; give every image a region ([0, 0, width, height] for all of it, [] for '
                        'nothing)')
    images = {image.image_id: image for image in found.images}
    return GroundTruth(str(path), found.classes, tuple(found.category_ids[name] for name in found.classes),
                       tuple(images[key] for key in by_id(images)))


def by_id(records: Iterable[RecordId]) -> list[RecordId]:
    """Ids in pycocotools' order, numbers before texts."""
    return sorted(records, key=lambda key: (isinstance(key, str), key))


@dataclass
class AnnotationReader:
    """Reads files of one data set.

    Args:
        classes: class names; a cell's label is its class's index here. None: those of the file's categories, by id.
        schema: attributes to read.
        require_regions: every image must have annotated regions.
        max_overhang_px: boxes and regions may stick out of the image by this much; they are cut at its border.
        name_pattern: regular expression for file names with the groups ``patient`` and ``diagnosis``; None: file names
            have no such information.
        backend_args: of mmengine's file backend.
    """

    classes: Sequence[str] | None
    schema: AttributeSchema
    require_regions: bool = False
    max_overhang_px: float = 1.0
    name_pattern: str | None = None
    backend_args: dict | None = None

    def read(self, path: str | Path) -> Annotations:
        """Read one file and collect its defects; a file without the needed tables raises UserError at once."""
        return self.parse(read_json(path, self.backend_args), path)

    def parse(self, content: object, path: str | Path) -> Annotations:
        """As :meth:`read`, for a file's parsed content; ``path`` is for messages."""
        return _Reading(self, str(path)).parse(normalise_annotations(content))


class _Reading:
    """The state while a file is read: its defects and counts."""

    def __init__(self, reader: AnnotationReader, path: str) -> None:
        self.reader = reader
        self.path = path
        self.pattern = None if reader.name_pattern is None else compile_name_pattern(reader.name_pattern)
        self.spellings = schema_spellings(reader.schema)
        self.defects: list[RecordDefect] = []
        self.left_out: dict[str, int] = {}
        self.broken_images: set[RecordId] = set()

    def parse(self, content: object) -> Annotations:
        data = self.tables(content)
        self.check_schema(data.get('attributes'))
        names = self.category_names(data['categories'])
        classes = tuple(names[key] for key in by_id(names)) if self.reader.classes is None else (
            tuple(self.reader.classes))
        self.labels = {name: label for label, name in enumerate(classes)}
        images = self.images(data['images'])
        used = self.add_cells(data['annotations'], images, names)
        listed = tuple(names.values())
        return Annotations(
            path=self.path, classes=classes, category_ids={name: key for key, name in names.items()},
            images=tuple(replace(image, cells=tuple(cells)) for image, cells in images.values()),
            absent_classes=tuple(name for name in classes if name not in listed),
            unused_categories=tuple(name for name in listed if name not in classes and name not in used),
            left_out_attributes=dict(self.left_out),
            defects=tuple(self.defects))

    def tables(self, data: object) -> dict:
        if not isinstance(data, dict):
            hint = '; is it a file of predictions?' if isinstance(data, list) else ''
            raise UserError(f'{self.path}: holds a {type(data).__name__}, not the dict of a COCO JSON file{hint}')
        for key in ('images', 'annotations', 'categories'):
            if not isinstance(data.get(key), list):
                raise UserError(f'{self.path}: the key {key!r} is missing or no list; a COCO JSON file has images, '
                                'annotations and categories')
        if not data['images']:
            raise UserError(f'{self.path}: images is empty; nothing to train or test on')
        if not data['categories'] and self.reader.classes is None:
            raise UserError(f'{self.path}: categories is empty; name the classes of the cells there')
        return data

    def add_defect(self, record: str, defect: Defect) -> None:
        self.defects.append(RecordDefect(record, defect.what, defect.fix, defect.kind))

    def check_schema(self, raw: object) -> None:
        """Check that the file's value lists equal the schema's: integers in the file are indices into these lists."""
        schema = self.reader.schema
        if raw is None or not len(schema):
            return
        if not isinstance(raw, Mapping):
            raise UserError(f'{self.path}: attributes is no dict of attribute: value names')
        for attribute in AttributeSchema.from_dict(raw).attributes:
            index = schema.position(attribute.key)
            if index is not None and schema.attributes[index].values != attribute.values:
                self.add_defect(f'attribute {attribute.key!r}', Defect(
                    f'the file has the values {list(attribute.values)}',
                    f'the data set is configured with {list(schema.attributes[index].values)}; give '
                    "metainfo=dict(attributes=...) the file's own"))

    def category_names(self, raw: Sequence) -> dict[RecordId, str]:
        names: dict[RecordId, str] = {}
        for index, category in enumerate(raw):
            try:
                identity, name = needed(category, 'id'), parse_name(category)
                if identity in names:
                    raise Defect(f'the id {identity} occurs twice', 'give every category its own id')
                if name in names.values():
                    raise Defect(f'the name {name!r} occurs twice', 'merge the two categories')
                names[identity] = name
            except Defect as defect:
                self.add_defect(f'category {index}', defect)
        return names

    def images(self, raw: Sequence) -> dict[RecordId, tuple[ImageTruth, list[TrueCell]]]:
        images: dict[RecordId, tuple[ImageTruth, list[TrueCell]]] = {}
        file_names: set[str] = set()
        for index, image in enumerate(raw):
            record = f'image {index} of the list'
            try:
                file_name = parse_image_path(image)
                record = f'image {file_name}'
                identity = needed(image, 'id')
                if identity in images:
                    raise Defect(f'its id {identity} occurs twice', 'give every image its own id', 'image id twice')
                if file_name in file_names:
                    raise Defect('the image has two entries, and each would show the cells of the other as background',
                                 'give it one entry, and all its annotations the image_id of that one')
                file_names.add(file_name)
                images[identity] = self.image(image, identity, file_name), []
            except Defect as defect:
                self.add_defect(record, defect)
                identity = image.get('id') if isinstance(image, Mapping) else None
                if isinstance(identity, (int, str)) and identity not in images:
                    self.broken_images.add(identity)
        return images

    def image(self, raw: Mapping, identity: RecordId, file_name: str) -> ImageTruth:
        image_wh = (parse_size(raw, 'width'), parse_size(raw, 'height'))
        region = raw.get('annotated_region')
        if region is None and self.reader.require_regions:
            raise Defect("has no annotated_region, but the data set is annotation='sparse'",
                         "add the region ([] where nothing is known), or say annotation='complete' if it is annotated "
                         'everywhere')
        stated = {key: None if raw.get(key) is None else str(raw[key]) for key in ('patient', 'diagnosis', 'domain')}
        patient, diagnosis = parse_file_name(file_name, self.pattern)
        return ImageTruth(
            image_id=identity, file_name=file_name, width=image_wh[0], height=image_wh[1],
            regions_xyxy=None if region is None else parse_regions(region, image_wh, self.reader.max_overhang_px),
            domain=stated['domain'], factors=raw.get('factors'), patient=stated['patient'] or patient,
            diagnosis=stated['diagnosis'] or diagnosis)

    def add_cells(self, raw: Sequence, images: dict[RecordId, tuple[ImageTruth, list[TrueCell]]],
                  names: Mapping[RecordId, str]) -> set[str]:
        """Add the cells to their images; returns the names of their classes."""
        seen: set[RecordId] = set()
        used: set[str] = set()
        boxes: list[tuple[str, object, tuple[int, int]]] = []
        box_defects: list[RecordDefect] = []
        for index, annotation in enumerate(raw):
            record = f'annotation {index} of the list'
            try:
                identity = needed(annotation, 'id')
                record = f'annotation {identity}'
                if identity in seen:
                    raise Defect('its id occurs twice', 'give every annotation its own id')
                seen.add(identity)
                image_id = needed(annotation, 'image_id')
                if image_id in self.broken_images:
                    continue  # the image's defect is reported; its cells cannot be checked
                image, cells = _look_up(images, image_id)
                record += f' of image {image.file_name}'
                boxes.append((record, annotation.get('bbox'), (image.width, image.height)))
                name = _class_name(annotation, names)
                used.add(name)
                cells.append(self.cell(annotation, identity, image, name))
            except Defect as defect:
                self.add_defect(record, defect)
                if defect.kind.startswith('bbox'):
                    box_defects.append(self.defects[-1])
        if pattern := recognise_boxes(boxes, min(self.reader.max_overhang_px, 1.0)):
            explained = set(box_defects)
            self.defects = [defect for defect in self.defects if defect not in explained] + [pattern]
        return used

    def cell(self, raw: Mapping, identity: RecordId, image: ImageTruth, name: str) -> TrueCell:
        if name not in self.labels:
            alike = [known for known in self.labels if normalise_class_name(known) == normalise_class_name(name)]
            raise Defect(f'unknown class {name!r}' + (f' (did you mean {alike[0]!r}?)' if alike else ''),
                         f'known are {", ".join(self.labels)}; name it in metainfo=dict(classes=...) or correct the '
                         'file')
        box = parse_rectangle(needed(raw, 'bbox'), (image.width, image.height), self.reader.max_overhang_px)
        x, y, width, height = map(float, raw['bbox'])
        return TrueCell(
            annotation_id=identity, label=self.labels[name], box_xyxy=box,
            attributes=parse_attributes(raw, self.reader.schema, self.spellings, self.left_out),
            ignore=parse_flag(raw, 'iscrowd') or parse_flag(raw, 'ignore'),
            box_xywh=(x, y, width, height), area=parse_area(raw))


def _look_up(images: Mapping[RecordId, tuple[ImageTruth, list[TrueCell]]],
             image_id: RecordId) -> tuple[ImageTruth, list[TrueCell]]:
    if image_id not in images:
        raise Defect(f'image_id {image_id!r} is no image of the file', 'correct it, or add the image',
                     'image_id is no image')
    return images[image_id]


def _class_name(annotation: Mapping, names: Mapping[RecordId, str]) -> str:
    category_id = needed(annotation, 'category_id')
    if category_id not in names:
        raise Defect(f'category_id {category_id!r} is no category of the file',
                     f'its categories are {", ".join(f"{key!r} ({name})" for key, name in names.items())}')
    return names[category_id]
