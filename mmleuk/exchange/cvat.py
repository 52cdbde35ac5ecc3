"""CVAT: its XML ("CVAT for images 1.1") and its COCO JSON.

The XML states each label's attributes with their values; a cell's unknown attribute has the value ``unknown``.
Format: https://docs.cvat.ai/docs/manual/advanced/formats/format-cvat/ and format-coco/
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError, SubElement, indent, tostring

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from mmleuk.errors import UserError
from mmleuk.exchange.labels import REGION, Box, Known, LabelledCell, LabelledImage, Labels, to_coco, with_regions
from mmleuk.utils.json_files import read_json
from mmleuk.utils.new_folder import new_folder, write_text

FILE, LABELS_FILE = 'annotations.xml', 'labels.json'
UNKNOWN = 'unknown'
SCORE, IGNORE_KEY, PROB = 'score', 'ignore', '.prob'
_OWN_COCO = ('occluded', 'rotation', 'track_id', 'keyframe')
"""Attributes that CVAT itself adds to its COCO JSON."""


def write(labels: Labels, out: Path) -> None:
    """A new folder with annotations.xml and labels.json, the labels for the raw tab of a new task."""
    specs = _attribute_specs(labels)
    with new_folder(out) as folder:
        write_text(folder / FILE, _xml(labels, specs))
        write_text(folder / LABELS_FILE, json.dumps(_labels_for_task(labels, specs), indent=1, ensure_ascii=False))


def _attribute_specs(labels: Labels) -> list[dict[str, Any]]:
    """Attributes of every label, as CVAT's API names their fields."""
    cells = labels.cells
    for key in labels.all_values():
        if key in (SCORE, IGNORE_KEY) or key.endswith(PROB):
            raise UserError(f'attribute {key!r}: in CVAT {SCORE}, {IGNORE_KEY} and names that end with {PROB} are what '
                            'a model says; rename it')
    specs = [dict(name=key, mutable=False, input_type='select', default_value=unknown_word(names),
                  values=[unknown_word(names), *names]) for key, names in labels.all_values().items()]
    numbers = [SCORE] if any(cell.score is not None for cell in cells) else []
    numbers += [key + PROB for key in labels.all_values() if any(key in cell.probs for cell in cells)]
    specs += [dict(name=name, mutable=False, input_type='text', default_value='', values=['']) for name in numbers]
    if any(cell.ignore for cell in cells):
        specs.append(dict(name=IGNORE_KEY, mutable=False, input_type='checkbox', default_value='false',
                          values=['false']))
    return specs


def unknown_word(values: tuple[str, ...]) -> str:
    """The value of an unknown attribute.

    >>> unknown_word(('open', 'coarse')), unknown_word(('unknown', 'known'))
    ('unknown', 'not stated')
    """
    return UNKNOWN if UNKNOWN not in values else 'not stated'


def _has_regions(labels: Labels) -> bool:
    return any(image.regions for image in labels.images)


def _labels_for_task(labels: Labels, specs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    own = [dict(name=name, type='rectangle', attributes=specs) for name in labels.classes]
    return own + ([dict(name=REGION, type='rectangle', attributes=[])] if _has_regions(labels) else [])


def _xml(labels: Labels, specs: list[dict[str, Any]]) -> str:
    root = Element('annotations')
    SubElement(root, 'version').text = '1.1'
    task = SubElement(SubElement(root, 'meta'), 'task')
    SubElement(task, 'size').text = str(len(labels.images))
    SubElement(task, 'mode').text = 'annotation'
    parent = SubElement(task, 'labels')
    for label in _labels_for_task(labels, specs):
        element = SubElement(parent, 'label')
        SubElement(element, 'name').text = label['name']
        SubElement(element, 'type').text = label['type']
        attributes = SubElement(element, 'attributes')
        for spec in label['attributes']:
            attribute = SubElement(attributes, 'attribute')
            for key, value in spec.items():
                SubElement(attribute, key).text = '\n'.join(value) if isinstance(value, list) else str(value)
    values = labels.all_values()
    for number, image in enumerate(labels.images):
        element = SubElement(root, 'image', id=str(number), name=image.file_name, width=str(image.width),
                             height=str(image.height))
        for cell in image.cells:
            _add_box(element, cell.class_name, cell.box, _texts(cell, specs, values))
        for region in image.regions or ():
            _add_box(element, REGION, region, {})
    indent(root, '  ')
    return f"<?xml version='1.0' encoding='utf-8'?>\n{tostring(root, encoding='unicode')}\n"


def _texts(cell: LabelledCell, specs: list[dict[str, Any]], values: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """The text of each attribute of a cell."""
    texts = {}
    for spec in specs:
        name = spec['name']
        if name in values:
            texts[name] = cell.attributes.get(name, unknown_word(values[name]))
        elif name == SCORE:
            texts[name] = '' if cell.score is None else repr(cell.score)
        elif name == IGNORE_KEY:
            texts[name] = str(cell.ignore).lower()
        else:
            prob = cell.probs.get(name.removesuffix(PROB))
            texts[name] = '' if prob is None else repr(prob)
    return texts


def _add_box(parent: Element, label: str, box: Box, texts: Mapping[str, str]) -> None:
    sides = {side: repr(float(value)) for side, value in zip(('xtl', 'ytl', 'xbr', 'ybr'), box, strict=True)}
    element = SubElement(parent, 'box', dict(label=label, source='manual', occluded='0', **sides, z_order='0'))
    for name, text in texts.items():
        SubElement(element, 'attribute', name=name).text = text


def read(source: Path, known: Known) -> tuple[Labels, list[str]]:
    """Labels of an XML file, or of a folder with one.

    Polygons, ellipses and rotated boxes become the boxes around them; the notes count them.

    Raises:
        UserError: broken, a video's, or a number or size is missing. The message names image and shape.
    """
    path = source / FILE if source.is_dir() else source
    try:
        root = fromstring(path.read_bytes())
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise UserError(f'{path}: is no XML that can be read ({error!r}); export "CVAT for images 1.1" again'
                        ) from error
    except OSError as error:
        raise UserError(f'{path}: cannot be read ({error.strerror}); name annotations.xml or its folder') from error
    if root.tag != 'annotations' or root.find('track') is not None:
        kind = 'a video' if root.tag == 'annotations' else root.tag
        raise UserError(f'{path}: is no "CVAT for images 1.1" ({kind}); export the task in that format')
    classes, values = _stated_labels(root)
    counts: dict[str, int] = {}
    images = [_image(element, values, known, path, counts) for element in root.iter('image')]
    stated = {key: tuple(name for name in names if name != names[0]) for key, names in values.items()}
    notes = [f'{number} {what}' for what, number in counts.items()]
    return known.labels(with_regions(images), [name for name in classes if name != REGION], stated), notes


def _stated_labels(root: Element) -> tuple[list[str], dict[str, list[str]]]:
    """Names of the labels; values of the attributes to choose from, by name, that of an unknown one first.

    Attributes of one name can have other values at each label: then these are taken together.
    """
    classes: list[str] = []
    values: dict[str, list[str]] = {}
    for label in root.iter('label'):
        name = label.findtext('name')
        if not name:
            continue
        classes.append(name)
        for attribute in label.iter('attribute'):
            key, kind = attribute.findtext('name') or '', attribute.findtext('input_type')
            if kind in ('select', 'radio'):
                names = (attribute.findtext('values') or '').split('\n')
                # A task made elsewhere needn't have a value for unknown: then all are known.
                first = names[0] if names[0] in (UNKNOWN, 'not stated', '') else ''
                before = values.get(key, [first])
                first = before[0] or first
                values[key] = list(dict.fromkeys([first, *before[1:], *(name for name in names if name)]))
    return classes, values


def _image(element: Element, values: Mapping[str, list[str]], known: Known, path: Path,
           counts: dict[str, int]) -> LabelledImage:
    name = element.get('name') or ''
    where = f'{path}: image {name}'
    if not name:
        raise UserError(f'{path}: image {element.get("id")}: has no name; export the task again')
    stated = element.get('width'), element.get('height')
    if all(stated) and not all(side and side.isdecimal() for side in stated):
        raise UserError(f'{where}: width and height are {" and ".join(map(str, stated))}; export the task again')
    width, height = (int(side) for side in stated if side) if all(stated) else known.size_of(name, where)
    cells, regions = [], []
    for number, shape in enumerate(element, 1):
        box = _box(shape, f'{where}, shape {number}', counts)
        if box is None:
            continue
        if shape.get('label') == REGION:
            regions.append(box)
        else:
            cells.append(_cell(shape, box, values, f'{where}, shape {number}'))
    return LabelledImage(name, width, height, tuple(cells), tuple(regions))


def _box(shape: Element, where: str, counts: dict[str, int]) -> Box | None:
    """The box of a shape; None for a shape that isn't one."""
    def count(what: str) -> None:
        counts[what] = counts.get(what, 0) + 1

    try:
        if shape.tag == 'box':
            x1, y1, x2, y2 = (float(shape.attrib[side]) for side in ('xtl', 'ytl', 'xbr', 'ybr'))
            points = [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]
            turn = math.radians(float(shape.get('rotation', 0)))
            if turn:
                count('rotated boxes became the boxes around them')
                middle = (x1 + x2) / 2, (y1 + y2) / 2
                points = [(middle[0] + (x - middle[0]) * math.cos(turn) - (y - middle[1]) * math.sin(turn),
                           middle[1] + (x - middle[0]) * math.sin(turn) + (y - middle[1]) * math.cos(turn))
                          for x, y in points]
        elif shape.tag == 'polygon':
            pairs = (point.split(',') for point in shape.attrib['points'].split(';'))
            points = [(float(x), float(y)) for x, y in pairs]
            count('polygons became the boxes around them')
        elif shape.tag == 'ellipse':
            x, y, rx, ry = (float(shape.attrib[key]) for key in ('cx', 'cy', 'rx', 'ry'))
            points = [(x - rx, y - ry), (x + rx, y + ry)]
            count('ellipses became the boxes around them')
        else:
            count(f'shapes of the kind {shape.tag} were left out')
            return None
    except (KeyError, ValueError) as error:
        raise UserError(f'{where}: has no whole set of numbers ({error!r}); export the task again') from error
    xs, ys = zip(*points)
    return min(xs), min(ys), max(xs), max(ys)


def _cell(shape: Element, box: Box, values: Mapping[str, list[str]], where: str) -> LabelledCell:
    texts = {element.get('name', ''): element.text or '' for element in shape.iter('attribute')}
    attributes = {key: text for key, text in texts.items()
                  if text and key not in (SCORE, IGNORE_KEY) and not key.endswith(PROB)
                  and text != values.get(key, [UNKNOWN])[0]}
    try:
        score = float(texts[SCORE]) if texts.get(SCORE) else None
        probs = {key.removesuffix(PROB): float(text) for key, text in texts.items() if key.endswith(PROB) and text}
    except ValueError as error:
        raise UserError(f'{where}: a score is no number ({error}); correct it in CVAT') from error
    return LabelledCell(shape.get('label', ''), box, attributes, probs, score, texts.get(IGNORE_KEY) == 'true')


def write_coco(labels: Labels, out: Path) -> None:
    """One JSON file as CVAT imports and exports it: attributes by name, with those that CVAT adds."""
    data = to_coco(labels)
    data.pop('attributes', None)
    for image in data['images']:
        image.pop('annotated_region', None)
        image |= dict(license=0, flickr_url='', coco_url='', date_captured=0)
    for annotation in data['annotations']:
        annotation['attributes'] = dict(occluded=False, rotation=0.0) | annotation['attributes']
        annotation['segmentation'] = []
    from mmleuk.utils.json_files import write_json
    categories = [category | dict(supercategory='') for category in data['categories']]
    write_json(out, dict(licenses=[dict(name='', id=0, url='')], info=dict(
        contributor='', date_created='', description='', url='', version='', year=''), **data | dict(
            categories=categories)))


def read_coco(source: Path, known: Known) -> tuple[Labels, list[str]]:
    """Labels of CVAT's COCO JSON (annotations/instances_default.json)."""
    from mmleuk.datasets.converters.coco_files import check_coco
    from mmleuk.exchange.labels import from_coco
    data: Any = read_json(source)
    for annotation in data.get('annotations', ()) if isinstance(data, dict) else ():
        given = annotation.get('attributes')
        if isinstance(given, dict):
            annotation['attributes'] = {key: str(value) for key, value in given.items()
                                        if key not in _OWN_COCO and value not in (None, '', UNKNOWN)}
    if known.schema and isinstance(data, dict) and 'attributes' not in data:
        data['attributes'] = known.schema.to_dict()
    coco = check_coco(data, source)
    labels = from_coco(coco.data, coco.images, str(source))
    return known.labels(labels.images, labels.classes, labels.values), []


