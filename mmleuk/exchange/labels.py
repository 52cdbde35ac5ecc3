"""What annotation tools exchange: boxes with a class and attributes, of many images, from people or from a model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from mmleuk.errors import UserError
from mmleuk.schema import IGNORE, AttributeSchema, SchemaError
from mmleuk.structures.prediction import AttributeReading, Cell, Prediction, Run, RunInfo

REGION = 'annotated_region'
"""Label of the rectangles that stand for annotated regions in tools that have only labelled shapes."""
DECIMALS = 6
"""Boxes are exact to a millionth of a pixel."""
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class LabelledCell:
    """One cell.

    Args:
        class_name: its class.
        box: x1, y1, x2, y2 in pixels.
        attributes: known values by key; a key that is absent is unknown.
        probs: a model's probability of these values, by key.
        score: a model's confidence; None for a person's annotation.
        ignore: left out of losses and scores (COCO's ``iscrowd`` and ``ignore``).
        diameter_um: as of :class:`mmleuk.structures.prediction.Cell`; None where it isn't known.
    """

    class_name: str
    box: Box
    attributes: Mapping[str, str] = field(default_factory=dict)
    probs: Mapping[str, float] = field(default_factory=dict)
    score: float | None = None
    ignore: bool = False
    diameter_um: float | None = None


@dataclass(frozen=True)
class LabelledImage:
    """One image; ``regions`` None: annotated everywhere, (): nothing is known, else x1, y1, x2, y2 in pixels."""

    file_name: str
    width: int
    height: int
    cells: tuple[LabelledCell, ...] = ()
    regions: tuple[Box, ...] | None = None


@dataclass(frozen=True)
class Labels:
    """A file's or a folder's content.

    Args:
        classes: names in order.
        values: names of each attribute's values in order, by key; may lack attributes that cells have.
        images: in order.
    """

    classes: tuple[str, ...]
    values: Mapping[str, tuple[str, ...]]
    images: tuple[LabelledImage, ...]

    @property
    def cells(self) -> list[LabelledCell]:
        """All cells."""
        return [cell for image in self.images for cell in image.cells]

    def all_values(self) -> dict[str, tuple[str, ...]]:
        """``values``, completed by what the cells have."""
        found = {key: list(names) for key, names in self.values.items()}
        for cell in self.cells:
            for key, name in cell.attributes.items():
                names = found.setdefault(key, [])
                if name not in names:
                    names.append(name)
        return {key: tuple(names) for key, names in found.items()}

    def with_area(self) -> tuple[Labels, int]:
        """The same without predicted cells whose box has no area, which COCO refuses, and how many these are.

        A model's boxes are cut at the border of the image. A person's box without area is an error, and stays.
        """
        def stays(cell: LabelledCell) -> bool:
            return cell.score is None or min(_xywh(cell.box)[2:]) > 0

        kept = replace(self, images=tuple(
            replace(image, cells=tuple(filter(stays, image.cells))) for image in self.images))
        return kept, len(self.cells) - len(kept.cells)

    def checked(self, where: str) -> Labels:
        """The same, if names and boxes can be written by every tool.

        Raises:
            UserError: a class is called like the label of regions, a file name leads out of the folder or occurs twice,
                a cell has no class, a box isn't four numbers in order, or a score is not finite.
        """
        if REGION in self.classes:
            raise UserError(f'{where}: a class is called {REGION!r}, which marks annotated regions; rename it')
        for image in self.images:
            path = PurePosixPath(image.file_name)
            if path.is_absolute() or '..' in path.parts or '\\' in image.file_name or not path.name:
                raise UserError(f'{where}: image {image.file_name!r}: the name leads out of the folder of the images; '
                                'rename it')
            for number, cell in enumerate(image.cells, 1):
                x1, y1, x2, y2 = cell.box
                if not (cell.class_name and all(map(math.isfinite, cell.box)) and x1 <= x2 and y1 <= y2):
                    raise UserError(f'{where}: image {image.file_name}, cell {number}: the class {cell.class_name!r} '
                                    f'with the box {x1:g} {y1:g} {x2:g} {y2:g} is no cell; correct or remove it')
                numbers = [number for number in (cell.score, *cell.probs.values()) if number is not None]
                if not all(map(math.isfinite, numbers)):
                    raise UserError(f'{where}: image {image.file_name}, cell {number}: its score or a probability is '
                                    'not finite; correct it')
        names = [image.file_name for image in self.images]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise UserError(f'{where}: image {twice} occurs twice; keep one of them')
        return self


@dataclass(frozen=True)
class Known:
    """What the user says about labels whose format doesn't.

    Args:
        classes: names in order; default: in the order of the file, else alphabetical.
        schema: attributes and their values.
        sizes: width and height of an image, by its file name; raises where it can't be known.
    """

    classes: tuple[str, ...] = ()
    schema: AttributeSchema = field(default_factory=AttributeSchema)
    sizes: Any = None

    def size_of(self, file_name: str, where: str) -> tuple[int, int]:
        """Width and height of an image.

        Raises:
            UserError: nobody says.
        """
        size = None if self.sizes is None else self.sizes(file_name)
        if size is None:
            raise UserError(f'{where}: the size of image {file_name} is needed; give --images, the folder of '
                            'the images')
        width, height = size
        return int(width), int(height)

    def labels(self, images: Sequence[LabelledImage], classes: Sequence[str] = (),
               values: Mapping[str, Sequence[str]] | None = None) -> Labels:
        """Labels of these images; what the user says goes before what the file says."""
        used = {cell.class_name for image in images for cell in image.cells}
        names = list(dict.fromkeys(self.classes or classes))
        names += sorted(used - set(names))
        stated = dict(self.schema.values_by_key) or {key: tuple(names) for key, names in (values or {}).items()}
        return Labels(tuple(names), stated, tuple(images))


def with_regions(images: Sequence[LabelledImage]) -> list[LabelledImage]:
    """Images of a tool that draws regions as shapes: if one image has one, nothing is known of images without."""
    if not any(image.regions for image in images):
        return [replace(image, regions=None) for image in images]
    return [replace(image, regions=image.regions or ()) for image in images]


def from_coco(data: Mapping[str, Any], images: Iterable[Any], where: str) -> Labels:
    """Labels of a checked COCO JSON.

    Args:
        data: the file's content.
        images: its records (:class:`mmleuk.structures.ground_truth.ImageTruth`).
        where: for messages.

    Raises:
        UserError: an attribute is a number, and the file doesn't name the values.
    """
    schema = AttributeSchema.from_dict(data.get('attributes') or {})
    raw = {annotation['id']: annotation for annotation in data['annotations']}
    names = {category['id']: category['name'] for category in data['categories']}
    labelled = []
    for image in images:
        cells = []
        for cell in image.cells:
            annotation = raw[cell.annotation_id]
            x, y, width, height = cell.box_xywh
            place = f'{where}: annotation {cell.annotation_id}'
            given = annotation.get('attributes')
            attributes = _named(given if isinstance(given, Mapping) else annotation, schema, place,
                                isinstance(given, Mapping))
            stated = annotation.get('attribute_probs')
            probs = {key: prob for key in attributes if isinstance(stated, Mapping)
                     and (prob := _number(stated.get(key), f'attribute_probs of {key}', place)) is not None}
            diameter = annotation.get('diameter_um')
            cells.append(LabelledCell(names[annotation['category_id']], (x, y, x + width, y + height), attributes,
                                      probs, _number(annotation.get('score'), 'score', place), cell.ignore,
                                      float(diameter) if isinstance(diameter, (int, float)) else None))
        labelled.append(LabelledImage(image.file_name, image.width, image.height, tuple(cells), image.regions_xyxy))
    return Labels(tuple(names.values()), dict(schema.values_by_key), tuple(labelled))


def _number(value: Any, what: str, where: str) -> float | None:
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError) as error:
        raise UserError(f'{where}: {what} is {value!r:.50}; it is a number') from error


def _named(values: Mapping[str, Any], schema: AttributeSchema, where: str, complete: bool) -> dict[str, str]:
    """Value names of known attributes; without ``complete`` only those that the schema knows are attributes."""
    named = {}
    for key, value in values.items():
        position = schema.position(key)
        if position is not None:
            index = schema.encode(key, value)
            if index != IGNORE:
                named[schema.keys[position]] = schema.decode(key, index)
        elif complete and isinstance(value, str) and value:
            named[key] = value
        elif complete and value is not None and value != IGNORE and not isinstance(value, (str, bool)):
            raise UserError(f'{where}: attribute {key!r} is the number {value}, and the file does not name its values; '
                            'give --attributes')
    return named


def to_coco(labels: Labels) -> dict[str, Any]:
    """COCO JSON with attributes by name; ids count from 1."""
    ids = {name: number for number, name in enumerate(labels.classes, 1)}
    images: list[dict] = []
    annotations: list[dict] = []
    for image_id, image in enumerate(labels.images, 1):
        record: dict[str, Any] = dict(id=image_id, file_name=image.file_name, width=image.width, height=image.height)
        if image.regions is not None:
            record['annotated_region'] = [_xywh(region) for region in image.regions]
        images.append(record)
        for cell in image.cells:
            box = _xywh(cell.box)
            more: dict[str, Any] = {} if cell.score is None else dict(score=cell.score)
            if cell.diameter_um is not None:
                more['diameter_um'] = cell.diameter_um
            if cell.probs:
                more['attribute_probs'] = dict(cell.probs)
            annotations.append(dict(id=len(annotations) + 1, image_id=image_id, category_id=ids[cell.class_name],
                                    bbox=box, area=box[2] * box[3], iscrowd=int(cell.ignore),
                                    attributes=dict(cell.attributes), **more))
    data = dict(images=images, annotations=annotations,
                categories=[dict(id=number, name=name) for name, number in ids.items()])
    complete = {key: list(names) for key, names in labels.values.items() if len(names) > 1}
    return data | (dict(attributes=complete) if complete else {})


def _xywh(box: Box) -> list[float]:
    x1, y1, x2, y2 = box
    return [_plain(value) for value in (x1, y1, x2 - x1, y2 - y1)]


def _plain(value: float) -> float:
    """Rounded; a whole number as such."""
    rounded = round(value, DECIMALS)
    return int(rounded) if rounded == int(rounded) else rounded


def from_run(run: Run) -> Labels:
    """Labels of predictions."""
    images = [LabelledImage(p.image, p.size_hw[1], p.size_hw[0], tuple(map(_from_cell, p.cells)))
              for p in run.predictions]
    return Labels(run.info.classes, dict(run.info.schema.values_by_key), tuple(images))


def _from_cell(cell: Cell) -> LabelledCell:
    known = {key: reading for key, reading in cell.attributes.items() if reading['value_index'] != IGNORE}
    return LabelledCell(cell.class_name, cell.box, {key: reading['value'] for key, reading in known.items()},
                        {key: reading['prob'] for key, reading in known.items()}, cell.score,
                        diameter_um=cell.diameter_um)


def to_run(labels: Labels, where: str) -> Run:
    """Predictions; what no tool keeps (model, config, weights) is empty.

    Raises:
        UserError: a cell has no score, or an attribute no second value.
    """
    try:
        schema = AttributeSchema.from_dict({key: list(names) for key, names in labels.all_values().items()})
    except SchemaError as error:
        raise UserError(f'{where}: {error}; give --attributes') from error
    predictions = []
    for image in labels.images:
        cells = []
        for number, cell in enumerate(image.cells, 1):
            if cell.score is None:
                raise UserError(f'{where}: image {image.file_name}, cell {number}: has no score, so it is no '
                                'prediction; convert to coco')
            readings = {key: _reading(schema, key, cell) for key in schema.keys}
            cells.append(Cell(cell.box, cell.score, labels.classes.index(cell.class_name), cell.class_name, readings,
                              diameter_um=cell.diameter_um))
        predictions.append(Prediction(image.file_name, (image.height, image.width), tuple(cells)))
    return Run(RunInfo(labels.classes, schema, model=f'imported from {where}'), tuple(predictions))


def _reading(schema: AttributeSchema, key: str, cell: LabelledCell) -> AttributeReading:
    if key not in cell.attributes:
        return AttributeReading(value='unknown', value_index=IGNORE, prob=0.0)
    name = cell.attributes[key]
    return AttributeReading(value=name, value_index=schema.encode(key, name), prob=cell.probs.get(key, 1.0))


def differences(before: Labels, after: Labels) -> list[str]:
    """What ``after`` lacks of ``before``, one line each: nothing, if a round trip was exact."""
    lines = []
    if before.classes != after.classes:
        gone = [name for name in before.classes if name not in after.classes]
        lines.append(f'classes without cells ({", ".join(gone)})' if gone else 'the order of the classes')
    if dict(before.values) != dict(after.values):
        lines.append('the list of attribute values')
    pairs = {image.file_name: image for image in after.images}
    counts: dict[str, int] = {}

    def count(what: str, number: int) -> None:
        if number:
            counts[what] = counts.get(what, 0) + number

    for image in before.images:
        other = pairs.get(image.file_name)
        count('images', other is None)
        if other is None:
            count('cells', len(image.cells))
            continue
        count('image sizes', (image.width, image.height) != (other.width, other.height))
        count('annotated regions of images', not _same_regions(image.regions, other.regions))
        count('cells', abs(len(image.cells) - len(other.cells)))
        for cell, kept in zip(image.cells, other.cells):
            count('boxes', not _same_box(cell.box, kept.box))
            count('types', cell.class_name != kept.class_name)
            count('attribute values', sum(kept.attributes.get(key) != name for key, name in cell.attributes.items()))
            count('probabilities of attributes', sum(kept.probs.get(key) != prob for key, prob in cell.probs.items()))
            count('scores', cell.score != kept.score)
            count('marks of ignored cells', cell.ignore != kept.ignore)
            count('diameters', cell.diameter_um != kept.diameter_um)
    return lines + [f'{number} {what}' for what, number in counts.items()]


def _same_box(one: Box, other: Box) -> bool:
    return all(abs(a - b) <= 2 * 10 ** -DECIMALS for a, b in zip(one, other, strict=True))


def _same_regions(one: Sequence[Box] | None, other: Sequence[Box] | None) -> bool:
    if one is None or other is None:
        return one is other
    return len(one) == len(other) and all(map(_same_box, one, other))
