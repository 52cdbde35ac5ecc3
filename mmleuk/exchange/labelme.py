"""labelme's JSON: a file beside each image, types as labels, attributes as flags ``key=value``.

Scores and probabilities are further keys of a shape, which labelme keeps. labelme itself isn't needed.
Format: https://github.com/wkentaro/labelme (labelme/_label_file.py; facts only, its licence is GPL-3.0)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from mmleuk.errors import UserError
from mmleuk.exchange.labels import REGION, Box, Known, LabelledCell, LabelledImage, Labels, with_regions
from mmleuk.exchange.one_per_image import own_facts, read_each, write_each

VERSION = '5.5.0'
OWN, IGNORED = 'mmleuk', 'ignore'


def write(labels: Labels, out: Path) -> None:
    """A new folder with STEM.json for each image STEM.png; copy the images beside them.

    Raises:
        UserError: an attribute's key has an equals sign.
    """
    for key in labels.all_values():
        if '=' in key or key == IGNORED:
            raise UserError(f'attribute {key!r}: labelme\'s flags are written as key=value; rename it')
    write_each(labels, out, lambda path: path.with_suffix('.json'), lambda image: _content(image, labels))


def _content(image: LabelledImage, labels: Labels) -> dict[str, Any]:
    shapes = [_shape(cell.class_name, cell.box, cell) for cell in image.cells]
    shapes += [_shape(REGION, region) for region in image.regions or ()]
    own = dict(classes=list(labels.classes), attributes={key: list(names) for key, names in labels.values.items()})
    return dict(version=VERSION, flags={}, shapes=shapes, imagePath=PurePosixPath(image.file_name).name, imageData=None,
                imageHeight=image.height, imageWidth=image.width) | {OWN: own}


def _shape(label: str, box: Box, cell: LabelledCell | None = None) -> dict[str, Any]:
    flags = {} if cell is None else {f'{key}={name}': True for key, name in cell.attributes.items()}
    more: dict[str, Any] = {}
    if cell is not None and cell.ignore:
        flags[IGNORED] = True
    if cell is not None and cell.score is not None:
        more['score'] = cell.score
    if cell is not None and cell.probs:
        more['attribute_probs'] = dict(cell.probs)
    return dict(label=label, points=[list(box[:2]), list(box[2:])], group_id=None, description='',
                shape_type='rectangle', flags=flags, mask=None) | more


def read(source: Path, known: Known) -> tuple[Labels, list[str]]:
    """Labels of a folder of JSON files, or of one file.

    Polygons and circles become the boxes around them; the notes count them.

    Raises:
        UserError: another format. The message names file and shape.
    """
    counts: dict[str, int] = {}
    images: list[LabelledImage] = []
    classes: list[str] = []
    values: dict[str, list[str]] = {}
    for path, content in read_each(source, '.json'):
        where = f'{source}: {path}'
        if not isinstance(content, Mapping) or not isinstance(content.get('shapes'), list):
            raise UserError(f'{where}: is no file of labelme (it has no list "shapes"); leave it out of the folder')
        own = own_facts(content, OWN)
        classes += own.get('classes', [])
        values |= own.get('attributes', {})
        # labelme for Windows writes backslashes.
        base = PurePosixPath(str(content.get('imagePath') or '').replace('\\', '/')).name
        name = str(path.parent / base) if base else str(path.with_suffix(''))
        width, height = content.get('imageWidth'), content.get('imageHeight')
        size = (int(width), int(height)) if width and height else known.size_of(name, where)
        cells, regions = [], []
        for number, shape in enumerate(content['shapes'], 1):
            try:
                cell = _cell(shape, counts)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise UserError(f'{where}: shape {number}: is not as labelme writes it ({error!r}); save it again'
                                ) from error
            if cell is not None and cell.class_name == REGION:
                regions.append(cell.box)
            elif cell is not None:
                cells.append(cell)
        images.append(LabelledImage(name, *size, tuple(cells), tuple(regions)))
    notes = [f'{number} {what}' for what, number in counts.items()]
    return known.labels(with_regions(images), list(dict.fromkeys(classes)), values), notes


def _cell(shape: Mapping[str, Any], counts: dict[str, int]) -> LabelledCell | None:
    kind = shape.get('shape_type') or 'polygon'
    points = [(float(x), float(y)) for x, y in shape['points']]
    if kind == 'circle':  # the centre and a point on it
        (x, y), (px, py) = points
        radius = ((px - x) ** 2 + (py - y) ** 2) ** 0.5
        points = [(x - radius, y - radius), (x + radius, y + radius)]
    if kind not in ('rectangle', 'polygon', 'circle', 'mask'):
        what = f'shapes of the kind {kind} were left out'
        counts[what] = counts.get(what, 0) + 1
        return None
    if kind != 'rectangle':
        what = f'shapes of the kind {kind} became the boxes around them'
        counts[what] = counts.get(what, 0) + 1
    xs, ys = zip(*points)
    flags = [name for name, on in (shape.get('flags') or {}).items() if on]
    attributes = dict(flag.split('=', 1) for flag in flags if '=' in flag)
    score = shape.get('score')
    return LabelledCell(str(shape['label']), (min(xs), min(ys), max(xs), max(ys)), attributes,
                        {key: float(prob) for key, prob in (shape.get('attribute_probs') or {}).items()},
                        None if score is None else float(score), IGNORED in flags)
