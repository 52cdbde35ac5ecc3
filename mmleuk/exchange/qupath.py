"""QuPath's GeoJSON: a file per image, types as classifications, attributes as metadata and measurements.

A cell's attribute is in ``metadata`` by its value's name and in ``measurements`` by its value's number, where QuPath
can plot and filter it; probabilities and scores are measurements. Names, sizes and the attributes' values are in a
foreign member, which QuPath doesn't write again: then --images and --attributes say them.
Format: https://qupath.readthedocs.io/en/stable/docs/advanced/exporting_annotations.html
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmleuk.errors import UserError
from mmleuk.exchange.labels import REGION, Box, Known, LabelledCell, LabelledImage, Labels, with_regions
from mmleuk.exchange.one_per_image import own_facts, read_each, write_each
from mmleuk.utils.files import utf8

SUFFIX = '.geojson'
OWN = 'mmleuk'
SCORE, IGNORED, PROB = 'score', 'ignore', ' prob'


def write(labels: Labels, out: Path) -> None:
    """A new folder with NAME.geojson for each image NAME.

    Raises:
        UserError: an attribute has a name that measurements of a model have.
    """
    values = labels.all_values()
    for key in values:
        if key in (SCORE, IGNORED) or key.endswith(PROB):
            raise UserError(f'attribute {key!r}: in QuPath {SCORE}, {IGNORED} and names that end with "{PROB}" are '
                            'what a model says; rename it')
    write_each(labels, out, lambda path: path.with_name(path.name + SUFFIX),
               lambda image: _collection(image, labels, values))


def _collection(image: LabelledImage, labels: Labels, values: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    features = [_feature(image, number, cell.class_name, cell.box, _measurements(cell, values), _metadata(cell))
                for number, cell in enumerate(image.cells)]
    features += [_feature(image, -1 - number, REGION, region, {}, {})
                 for number, region in enumerate(image.regions or ())]
    own = dict(file_name=image.file_name, width=image.width, height=image.height, classes=list(labels.classes),
               attributes={key: list(names) for key, names in labels.values.items()})
    return dict(type='FeatureCollection', features=features) | {OWN: own}


def _feature(image: LabelledImage, number: int, label: str, box: Box, measurements: Mapping[str, float],
             metadata: Mapping[str, str]) -> dict[str, Any]:
    x1, y1, x2, y2 = box
    ring = [[x1, y1], [x2, y1], [x2, y2], [x1, y2], [x1, y1]]
    properties: dict[str, Any] = dict(objectType='annotation', classification=dict(name=label), isLocked=False)
    if measurements:
        properties['measurements'] = dict(measurements)
    if metadata:
        properties['metadata'] = dict(metadata)
    identity = str(uuid.uuid5(uuid.NAMESPACE_URL, utf8(f'{image.file_name}#{number}').decode()))
    return dict(type='Feature', id=identity, geometry=dict(type='Polygon', coordinates=[ring]), properties=properties)


def _measurements(cell: LabelledCell, values: Mapping[str, tuple[str, ...]]) -> dict[str, float]:
    numbers: dict[str, float] = {} if cell.score is None else {SCORE: cell.score}
    for key, name in cell.attributes.items():
        numbers[key] = values[key].index(name)
        if key in cell.probs:
            numbers[key + PROB] = cell.probs[key]
    return numbers


def _metadata(cell: LabelledCell) -> dict[str, str]:
    return dict(cell.attributes) | ({IGNORED: 'true'} if cell.ignore else {})


def read(source: Path, known: Known) -> tuple[Labels, list[str]]:
    """Labels of a folder of GeoJSON files, or of one file.

    Polygons that aren't upright rectangles become the boxes around them; the notes count them.

    Raises:
        UserError: another format. The message names file and object.
    """
    counts: dict[str, int] = {}
    images: list[LabelledImage] = []
    classes: list[str] = []
    values: dict[str, list[str]] = {}
    for path, content in read_each(source, SUFFIX):
        where = f'{source}: {path}'
        own = own_facts(content, OWN)
        classes += own.get('classes', [])
        values |= own.get('attributes', {})
        name = own.get('file_name') or str(path.with_name(path.name.removesuffix(SUFFIX)))
        stated_size = (own['width'], own['height']) if 'width' in own and 'height' in own else None
        width, height = stated_size or known.size_of(name, where)
        stated = dict(known.schema.values_by_key) or own.get('attributes', {})
        cells = []
        for number, feature in enumerate(_features(content, where), 1):
            try:
                cells.append(_cell(feature, stated, counts))
            except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
                raise UserError(f'{where}: object {number}: is not as QuPath writes it ({error!r}); export it again'
                                ) from error
        found = [cell for cell in cells if cell is not None]
        images.append(LabelledImage(name, width, height, tuple(cell for cell in found if cell.class_name != REGION),
                                    tuple(cell.box for cell in found if cell.class_name == REGION)))
    notes = [f'{number} {what}' for what, number in counts.items()]
    return known.labels(with_regions(images), list(dict.fromkeys(classes)), values), notes


def _features(content: Any, where: str) -> Iterator[Mapping[str, Any]]:
    listed = content.get('features', [content]) if isinstance(content, Mapping) else content
    if not isinstance(listed, list) or not all(isinstance(one, Mapping) and one.get('type') == 'Feature'
                                               for one in listed):
        raise UserError(f'{where}: is no GeoJSON of objects; export them as a FeatureCollection')
    yield from listed


def _cell(feature: Mapping[str, Any], values: Mapping[str, Any], counts: dict[str, int]) -> LabelledCell | None:
    geometry, properties = feature['geometry'], feature.get('properties') or {}
    if geometry['type'] not in ('Polygon', 'MultiPolygon'):
        what = f'objects of the kind {geometry["type"]} were left out'
        counts[what] = counts.get(what, 0) + 1
        return None
    polygons = [geometry['coordinates']] if geometry['type'] == 'Polygon' else geometry['coordinates']
    points = {(float(x), float(y)) for polygon in polygons for x, y, *_ in polygon[0]}
    xs, ys = [x for x, _ in points], [y for _, y in points]
    if len(points) != 4 or len(set(xs)) != 2 or len(set(ys)) != 2:
        counts['outlines became the boxes around them'] = counts.get('outlines became the boxes around them', 0) + 1
    given = properties.get('classification') or {}
    label = given.get('name') or ': '.join(given.get('names') or ())
    if not label:
        counts['objects without a classification were left out'] = counts.get(
            'objects without a classification were left out', 0) + 1
        return None
    numbers = properties.get('measurements') or {}
    if isinstance(numbers, list):  # before version 0.4
        numbers = {entry['name']: entry['value'] for entry in numbers}
    texts = dict(properties.get('metadata') or {})
    ignored = texts.pop(IGNORED, 'false') == 'true'
    attributes = {key: names[int(numbers[key])] for key, names in values.items() if key in numbers}
    attributes |= {key: text for key, text in texts.items() if key in values or not values}
    probs = {key: float(numbers[key + PROB]) for key in attributes if key + PROB in numbers}
    score = numbers.get(SCORE)
    return LabelledCell(label, (min(xs), min(ys), max(xs), max(ys)), attributes, probs,
                        None if score is None else float(score), ignored)
