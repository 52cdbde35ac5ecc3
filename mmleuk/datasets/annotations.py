"""COCO JSON with attributes and annotated regions -> typed, checked records.

Labels go by class name, whatever the order of the file's categories. Nothing is dropped in silence: a defect
raises, what the schema doesn't name is counted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmleuk.datasets.file_names import compile_name_pattern, parse_file_name
from mmleuk.datasets.validation import (
    Box,
    Defect,
    RecordDefect,
    parse_attributes,
    parse_rectangle,
    parse_regions,
    schema_spellings,
)
from mmleuk.errors import UserError
from mmleuk.schema import AttributeSchema
from mmleuk.utils.json_files import read_json

RecordId = int | str


@dataclass(frozen=True)
class Cell:
    """One annotated cell; ``box_xyxy`` in pixels, ``attributes`` one integer per attribute (IGNORE unknown)."""

    annotation_id: RecordId
    label: int
    box_xyxy: Box
    attributes: tuple[int, ...]
    ignore: bool


@dataclass(frozen=True)
class FilmImage:
    """One image; ``regions_xyxy`` None where the file says nothing about regions, () where nothing is known."""

    image_id: RecordId
    file_name: str
    width: int
    height: int
    regions_xyxy: tuple[Box, ...] | None
    domain: str | None
    factors: object
    patient: str | None
    diagnosis: str | None
    cells: tuple[Cell, ...] = ()

    @property
    def is_known_everywhere(self) -> bool:
        """Whether no region stands in the file or one covers the whole image."""
        whole = (0.0, 0.0, float(self.width), float(self.height))
        return self.regions_xyxy is None or whole in self.regions_xyxy


@dataclass(frozen=True)
class Annotations:
    """A read annotation file.

    Args:
        images: in the file's order.
        absent_classes: asked for, but no category of the file.
        unused_categories: categories of the file that were not asked for; no annotation is of them.
        left_out_attributes: attribute keys that the schema doesn't name, with the number of cells having them.
        defects: in the file's order. Records with a defect are missing above.
    """

    path: str
    images: tuple[FilmImage, ...]
    absent_classes: tuple[str, ...]
    unused_categories: tuple[str, ...]
    left_out_attributes: Mapping[str, int]
    defects: tuple[RecordDefect, ...]

    def raise_defects(self) -> None:
        """Raise the first defect as a UserError and say how many more there are."""
        if self.defects:
            more = len(self.defects) - 1
            raise UserError(f'{self.path}: {self.defects[0]}' + (f' (and {more} more in this file)' if more else ''))


def read_annotations(path: str | Path, classes: Sequence[str], schema: AttributeSchema,
                     **options: object) -> Annotations:
    """Read and validate; options as :class:`AnnotationReader` takes them.

    Raises:
        UserError: the first defect, naming file and record and how to mend it, with the number of others.
    """
    annotations = AnnotationReader(classes, schema, **options).read(path)  # type: ignore[arg-type]
    annotations.raise_defects()
    return annotations


@dataclass
class AnnotationReader:
    """Reads files of one data set.

    Args:
        classes: class names; a cell's label is its class's place here.
        schema: attributes to read.
        require_regions: every image must say where it is annotated.
        max_overhang_px: by how much boxes and regions may stick out of the image; they are cut at its border.
        name_pattern: regular expression with the groups ``patient`` and ``diagnosis``, for file names; None: they say
            nothing.
        backend_args: mmengine's file backend.
    """

    classes: Sequence[str]
    schema: AttributeSchema
    require_regions: bool = False
    max_overhang_px: float = 1.0
    name_pattern: str | None = None
    backend_args: dict | None = None
    _defects: list[RecordDefect] = field(default_factory=list, init=False)
    _left_out: dict[str, int] = field(default_factory=dict, init=False)
    _broken_images: set[RecordId] = field(default_factory=set, init=False)

    def read(self, path: str | Path) -> Annotations:
        """Read one file and collect its defects; a file without the needed tables raises UserError at once."""
        return self.parse(read_json(path, self.backend_args), path)

    def parse(self, content: object, path: str | Path) -> Annotations:
        """As :meth:`read`, for a file's parsed content; ``path`` is for messages."""
        self._path, self._defects, self._left_out, self._broken_images = str(path), [], {}, set()
        self._pattern: re.Pattern[str] | None = (
            None if self.name_pattern is None else compile_name_pattern(self.name_pattern))
        self._spellings = schema_spellings(self.schema)
        data = self._tables(content)
        self._check_schema(data.get('attributes'))
        names = self._category_names(data['categories'])
        images = self._images(data['images'])
        used = self._add_cells(data['annotations'], images, names)
        listed = tuple(names.values())
        return Annotations(
            path=self._path,
            images=tuple(FilmImage(**image, cells=tuple(cells)) for image, cells in images.values()),
            absent_classes=tuple(name for name in self.classes if name not in listed),
            unused_categories=tuple(name for name in listed if name not in self.classes and name not in used),
            left_out_attributes=dict(self._left_out),
            defects=tuple(self._defects))

    def _tables(self, data: object) -> dict:
        if not isinstance(data, dict):
            raise UserError(f'{self._path}: holds a {type(data).__name__}, not the dict of a COCO JSON file')
        for key in ('images', 'annotations', 'categories'):
            if not isinstance(data.get(key), list):
                raise UserError(f'{self._path}: the key {key!r} is missing or no list; a COCO JSON file has images, '
                                'annotations and categories')
        if not data['images']:
            raise UserError(f'{self._path}: images is empty; nothing to train or test on')
        return data

    def _add_defect(self, record: str, what: str, mend: str) -> None:
        self._defects.append(RecordDefect(record, what, mend))

    def _check_schema(self, raw: object) -> None:
        """Integers in the file mean places in the file's own value lists, so those must equal the schema's."""
        if raw is None or not len(self.schema):
            return
        if not isinstance(raw, Mapping):
            raise UserError(f'{self._path}: attributes is no dict of attribute: value names')
        for attribute in AttributeSchema.from_dict(raw).attributes:
            position = self.schema.position(attribute.key)
            if position is not None and self.schema.attributes[position].values != attribute.values:
                self._add_defect(f'attribute {attribute.key!r}', f'the file has the values {list(attribute.values)}',
                                 f'the data set is configured with {list(self.schema.attributes[position].values)}; '
                                 "give metainfo=dict(attributes=...) the file's own")

    def _category_names(self, raw: Sequence) -> dict[RecordId, str]:
        names: dict[RecordId, str] = {}
        for place, category in enumerate(raw):
            try:
                identity, name = _needed(category, 'id'), _needed(category, 'name')
                if identity in names:
                    raise Defect(f'the id {identity} stands twice', 'give every category its own id')
                if name in names.values():
                    raise Defect(f'the name {name!r} stands twice', 'merge the two categories')
                names[identity] = name
            except Defect as defect:
                self._add_defect(f'category {place}', defect.what, defect.mend)
        return names

    def _images(self, raw: Sequence) -> dict[RecordId, tuple[dict, list[Cell]]]:
        images: dict[RecordId, tuple[dict, list[Cell]]] = {}
        for place, image in enumerate(raw):
            record = f'image {place} of the list'
            try:
                file_name = _needed(image, 'file_name')
                record = f'image {file_name}'
                identity = _needed(image, 'id')
                if identity in images:
                    raise Defect(f'its id {identity} stands twice', 'give every image its own id')
                images[identity] = self._image(image, identity), []
            except Defect as defect:
                self._add_defect(record, defect.what, defect.mend)
                identity = image.get('id') if isinstance(image, Mapping) else None
                if isinstance(identity, (int, str)) and identity not in images:
                    self._broken_images.add(identity)
        return images

    def _image(self, raw: Mapping, identity: RecordId) -> dict:
        image_wh = (_size(raw, 'width'), _size(raw, 'height'))
        region = raw.get('annotated_region')
        if region is None and self.require_regions:
            raise Defect("has no annotated_region, but the data set is annotation='sparse'",
                         "add the region ([] where nothing is known), or say annotation='complete' if it is annotated "
                         'everywhere')
        patient, diagnosis = parse_file_name(str(raw['file_name']), self._pattern)
        return dict(
            image_id=identity, file_name=str(raw['file_name']), width=image_wh[0], height=image_wh[1],
            regions_xyxy=None if region is None else parse_regions(region, image_wh, self.max_overhang_px),
            domain=raw.get('domain'), factors=raw.get('factors'),
            patient=_first_known(raw.get('patient'), patient), diagnosis=_first_known(raw.get('diagnosis'), diagnosis))

    def _add_cells(self, raw: Sequence, images: dict[RecordId, tuple[dict, list[Cell]]],
                   names: Mapping[RecordId, str]) -> set[str]:
        """Put cells into their images; the names of the classes that they have."""
        labels = {name: label for label, name in enumerate(self.classes)}
        seen: set[RecordId] = set()
        used: set[str] = set()
        for place, annotation in enumerate(raw):
            record = f'annotation {place} of the list'
            try:
                identity = _needed(annotation, 'id')
                record = f'annotation {identity}'
                if identity in seen:
                    raise Defect('its id stands twice', 'give every annotation its own id')
                seen.add(identity)
                image_id = _needed(annotation, 'image_id')
                if image_id in self._broken_images:
                    continue  # what is wrong with the image was said; nothing can be told of its cells
                image, cells = _look_up(images, image_id)
                record += f' of image {image["file_name"]}'
                name = _class_name(annotation, names)
                used.add(name)
                cells.append(self._cell(annotation, identity, image, labels, name))
            except Defect as defect:
                self._add_defect(record, defect.what, defect.mend)
        return used

    def _cell(self, raw: Mapping, identity: RecordId, image: Mapping, labels: Mapping[str, int], name: str) -> Cell:
        if name not in labels:
            raise Defect(f'unknown class {name!r}', f'known are {", ".join(labels)}; name it in metainfo=dict(classes='
                         '...) or correct the file')
        return Cell(
            annotation_id=identity, label=labels[name],
            box_xyxy=parse_rectangle(_needed(raw, 'bbox'), (image['width'], image['height']), self.max_overhang_px),
            attributes=parse_attributes(raw, self.schema, self._spellings, self._left_out),
            ignore=bool(raw.get('iscrowd')) or bool(raw.get('ignore')))


def _needed(record: object, key: str) -> Any:
    if not isinstance(record, Mapping):
        raise Defect(f'is {record!r}', 'every record is a dict')
    if record.get(key) is None:
        raise Defect(f'the key {key!r} is missing', f'it is needed; the record has {", ".join(map(str, record))}')
    value = record[key]
    if key.endswith('id') and (isinstance(value, bool) or not isinstance(value, (int, str))):
        raise Defect(f'{key} is {value!r}', 'it needs a whole number or a text')
    return value


def _size(image: Mapping, key: str) -> int:
    value = _needed(image, key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value // 1 or value <= 0:
        raise Defect(f'{key} is {value!r}', 'it needs a positive whole number of pixels')
    return int(value)


def _look_up(images: Mapping[RecordId, tuple[dict, list[Cell]]], image_id: RecordId) -> tuple[dict, list[Cell]]:
    if image_id not in images:
        raise Defect(f'image_id {image_id} is no image of the file', 'correct it, or add the image')
    return images[image_id]


def _class_name(annotation: Mapping, names: Mapping[RecordId, str]) -> str:
    category_id = _needed(annotation, 'category_id')
    if category_id not in names:
        raise Defect(f'category_id {category_id} is no category of the file',
                     f'its categories are {", ".join(f"{key} ({name})" for key, name in names.items())}')
    return names[category_id]


def _first_known(stated: object, parsed: str | None) -> str | None:
    return parsed if stated is None else str(stated)
