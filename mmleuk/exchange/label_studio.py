"""Label Studio's JSON: predictions as pre-annotations, annotations as results, attributes as choices per region.

Boxes are percentages of the image there, so they are exact to a millionth of a pixel. A cell's result and its choices
share an id. Format: https://labelstud.io/guide/task_format and https://labelstud.io/guide/predictions
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote
from xml.etree.ElementTree import Element, ParseError, SubElement, indent, tostring

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from mmleuk.errors import UserError
from mmleuk.exchange.labels import (
    DECIMALS,
    REGION,
    Box,
    Known,
    LabelledCell,
    LabelledImage,
    Labels,
    with_regions,
)
from mmleuk.utils.image_files import SUFFIXES
from mmleuk.utils.json_files import read_json
from mmleuk.utils.new_folder import new_folder, write_text

FILE, CONFIG_FILE = 'tasks.json', 'label_config.xml'
LABEL, IMAGE = 'label', 'image'
_UPLOAD = re.compile(r'[0-9a-f]{8}-')
"""What Label Studio puts before the name of an uploaded file."""
_URL = re.compile(r'/|https?://|.*\?d=')
"""How addresses begin that Label Studio serves or a browser opens: percent-encoded, as names and keys of S3 are not."""
_IGNORED = 'ignore'
_SHAPES = ('rectanglelabels', 'polygonlabels', 'ellipselabels')


def write(labels: Labels, out: Path) -> None:
    """A new folder with tasks.json to import, and label_config.xml for the project's labelling interface.

    Cells with scores become predictions, others annotations; images in which a model found nothing get a prediction
    without cells, since an annotation would count as somebody's work. ``data.image`` is the file's name: put the
    address under which Label Studio serves the images before it, or upload them.
    """
    for key in labels.all_values():
        if key in (LABEL, IMAGE):
            raise UserError(f'an attribute is called {key!r}, as a control of the labelling interface is; rename it')
    of_model = any(cell.score is not None for cell in labels.cells)
    tasks = [_task(image, number, of_model) for number, image in enumerate(labels.images, 1)]
    with new_folder(out) as folder:
        write_text(folder / FILE, json.dumps(tasks, indent=1, ensure_ascii=False))
        (folder / CONFIG_FILE).write_bytes(labelling_interface(labels))


def labelling_interface(labels: Labels) -> bytes:
    """The XML of a project's labelling interface for these classes and attributes."""
    view = Element('View')
    SubElement(view, 'Image', name=IMAGE, value='$image', zoom='true')
    rectangles = SubElement(view, 'RectangleLabels', name=LABEL, toName=IMAGE)
    regions = [REGION] if any(image.regions for image in labels.images) else []
    for name in (*labels.classes, *regions):
        SubElement(rectangles, 'Label', value=name)
    for key, names in labels.all_values().items():
        choices = SubElement(view, 'Choices', name=key, toName=IMAGE, perRegion='true', choice='single-radio',
                             whenTagName=LABEL)
        for name in names:
            SubElement(choices, 'Choice', value=name)
    indent(view, '  ')
    return tostring(view, encoding='utf-8') + b'\n'


def _task(image: LabelledImage, number: int, of_model: bool) -> dict[str, Any]:
    results: list[dict[str, Any]] = []
    for index, cell in enumerate(image.cells, 1):
        results += _results(image, f'cell{index}', cell)
    for index, region in enumerate(image.regions or (), 1):
        results.append(_rectangle(image, f'region{index}', REGION, region))
    data = dict(image=image.file_name, file_name=image.file_name, width=image.width, height=image.height)
    scores = [cell.score for cell in image.cells if cell.score is not None]
    if scores or of_model and not results:
        mean = dict(score=sum(scores) / len(scores)) if scores else {}
        return dict(id=number, data=data, predictions=[dict(model_version='mmleuk', **mean, result=results)])
    return dict(id=number, data=data, annotations=[dict(result=results, was_cancelled=False)])


def _results(image: LabelledImage, identity: str, cell: LabelledCell) -> list[dict[str, Any]]:
    """A cell's rectangle and its choices."""
    rectangle = _rectangle(image, identity, cell.class_name, cell.box)
    if cell.score is not None:
        rectangle['score'] = cell.score
    if cell.ignore:
        rectangle['meta'] = dict(text=[_IGNORED])
    where = {key: value for key, value in rectangle['value'].items() if key != 'rectanglelabels'}
    results = [rectangle]
    for key, name in cell.attributes.items():
        choice = {**rectangle, 'type': 'choices', 'from_name': key, 'value': dict(where, choices=[name])}
        choice.pop('score', None)
        choice.pop('meta', None)
        results.append(choice | (dict(score=cell.probs[key]) if key in cell.probs else {}))
    return results


def _rectangle(image: LabelledImage, identity: str, label: str, box: Box) -> dict[str, Any]:
    x1, y1, x2, y2 = box
    value = dict(x=100 * x1 / image.width, y=100 * y1 / image.height, width=100 * (x2 - x1) / image.width,
                 height=100 * (y2 - y1) / image.height, rotation=0, rectanglelabels=[label])
    return dict(id=identity, type='rectanglelabels', from_name=LABEL, to_name=IMAGE, original_width=image.width,
                original_height=image.height, image_rotation=0, value=value)


def read(source: Path, known: Known) -> tuple[Labels, list[str]]:
    """Labels of an exported JSON ("JSON", not "JSON-MIN"), or of a folder with tasks.json.

    Of each task the newest annotation that wasn't skipped is read, else the newest prediction.

    Raises:
        UserError: another format, or a number is missing. The message names the task.
    """
    path = source / FILE if source.is_dir() else source
    tasks = read_json(path)
    if not isinstance(tasks, list) or not all(isinstance(task, Mapping) and isinstance(task.get('data'), Mapping)
                                              for task in tasks):
        raise UserError(f'{path}: is no list of tasks with "data"; export the project as "JSON" (not as JSON-MIN)')
    counts: Counter[str] = Counter()
    images = []
    for number, task in enumerate(tasks, 1):
        where = f'{path}: task {task.get("id", number)}'
        try:
            images.append(_image(task, known, where, counts))
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise UserError(f'{where}: is not as Label Studio writes it ({error!r}); export the project again'
                            ) from error
    classes, values = _interface(path.parent / CONFIG_FILE)
    notes = [f'{number} {what}' for what, number in counts.items() if number]
    return known.labels(with_regions(images), [name for name in classes if name != REGION], values), notes


def _interface(path: Path) -> tuple[list[str], dict[str, list[str]]]:
    """Classes, and the values of each attribute, of a labelling interface; empty without the file."""
    if not path.exists():
        return [], {}
    try:
        view = fromstring(path.read_bytes())
    except (ParseError, DefusedXmlException, ValueError, OSError) as error:
        raise UserError(f'{path}: cannot be read ({error!r}); save the labelling interface again, or remove the file'
                        ) from error
    classes = [label.get('value', '') for control in view.iter('RectangleLabels') for label in control.iter('Label')]
    return classes, {control.get('name', ''): [choice.get('value', '') for choice in control.iter('Choice')]
                     for control in view.iter('Choices')}


def _image(task: Mapping[str, Any], known: Known, where: str, counts: Counter[str]) -> LabelledImage:
    name = _file_name(task['data'])
    answers = [answer for answer in task.get('annotations') or () if not answer.get('was_cancelled')]
    counts['tasks have several annotations, of which the newest was read'] += len(answers) > 1
    answers = answers or list(task.get('predictions') or ())
    results = max(answers, key=lambda answer: str(answer.get('updated_at') or ''))['result'] if answers else []
    data = task['data']
    sizes = [(result['original_width'], result['original_height']) for result in results if 'original_width' in result]
    if sizes:
        width, height = sizes[0]
    elif 'width' in data and 'height' in data:
        width, height = data['width'], data['height']
    else:
        width, height = known.size_of(name, where)
    cells: dict[str, dict[str, Any]] = {}
    for result in results:
        _take(result, (int(width), int(height)), cells, counts)
    found = [LabelledCell(cell['label'], cell['box'], cell.get('attributes', {}), cell.get('probs', {}),
                          cell.get('score'), cell.get('ignore', False)) for cell in cells.values() if 'label' in cell]
    regions = tuple(cell.box for cell in found if cell.class_name == REGION)
    return LabelledImage(name, int(width), int(height), tuple(c for c in found if c.class_name != REGION), regions)


def _file_name(data: Mapping[str, Any]) -> str:
    """``file_name`` as written here, else the last part of the image's address without the upload's prefix."""
    if isinstance(data.get('file_name'), str):
        return str(data['file_name'])
    texts = [str(data[IMAGE])] if data.get(IMAGE) is not None else [
        value for value in data.values() if isinstance(value, str)]
    if not texts:
        raise KeyError(IMAGE)
    # A project may call its image otherwise, and say more of a task, such as the patient.
    names = [_last_part(text) for text in texts]
    name = next((name for name in names if name.lower().endswith(SUFFIXES)), names[0])
    return _UPLOAD.sub('', name, count=1) if _UPLOAD.match(name) else name


def _last_part(address: str) -> str:
    if _URL.match(address):
        address = unquote(address.split('?d=')[-1].split('?')[0])
    return PurePosixPath(address).name


def _take(result: Mapping[str, Any], size_wh: tuple[int, int], cells: dict[str, dict[str, Any]],
          counts: Counter[str]) -> None:
    """Put one result into the cell of its id."""
    kind = result['type']
    if kind not in (*_SHAPES, 'choices') or 'id' not in result or 'value' not in result:
        counts[f'results of the type {kind} were left out'] += 1  # such as relations, which have neither
        return
    cell, value = cells.setdefault(str(result['id']), {}), result['value']
    if kind == 'choices':
        key, choice = result['from_name'], value['choices'][0]
        cell.setdefault('attributes', {})[key] = choice
        if result.get('score') is not None:
            cell.setdefault('probs', {})[key] = float(result['score'])
        return
    label, *others = value[kind]
    counts['cells have several labels, of which the first was read'] += bool(others)
    box, what = _box(value, kind, size_wh)
    counts[what] += bool(what)
    cell.update(label=label, box=box, ignore=_IGNORED in ((result.get('meta') or {}).get('text') or []))
    if result.get('score') is not None:
        cell['score'] = float(result['score'])


def _box(value: Mapping[str, Any], kind: str, size_wh: tuple[int, int]) -> tuple[Box, str]:
    """The box around a shape in pixels, and what was lost by it."""
    per_x, per_y = size_wh[0] / 100, size_wh[1] / 100
    lost = ''
    if kind == 'polygonlabels':
        points = [(x * per_x, y * per_y) for x, y in value['points']]
        lost = 'polygons became the boxes around them'
    elif kind == 'ellipselabels':
        x, y = value['x'] * per_x, value['y'] * per_y
        rx, ry = value['radiusX'] * per_x, value['radiusY'] * per_y
        points = [(x - rx, y - ry), (x + rx, y + ry)]
        lost = 'ellipses became the boxes around them'
    else:
        x, y, width, height = (value['x'] * per_x, value['y'] * per_y, value['width'] * per_x, value['height'] * per_y)
        turn = math.radians(value.get('rotation') or 0)
        points = [(x + dx * math.cos(turn) - dy * math.sin(turn), y + dx * math.sin(turn) + dy * math.cos(turn))
                  for dx, dy in ((0, 0), (width, 0), (width, height), (0, height))]
        lost = 'rotated boxes became the boxes around them' if turn else ''
    xs, ys = zip(*points)
    x1, y1, x2, y2 = (round(side, DECIMALS) for side in (min(xs), min(ys), max(xs), max(ys)))
    return (x1, y1, x2, y2), lost
