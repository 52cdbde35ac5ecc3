"""Parse single values of annotation files: ids, flags, numbers, file names, boxes, regions, attributes.

Tools write the same value in several ways (1, 1.0, "1"). :func:`normalise_coco` gives all of them one form; the parsers
check it. All functions are pure and raise every defect.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, MutableMapping, Sequence
from typing import Any, NamedTuple, TypeGuard

from mmleuk.schema import IGNORE, AttributeSchema
from mmleuk.structures.ground_truth import Box

MAX_SIDE_PX = 1_000_000
"""Larger images can't be decoded."""
_WHOLE_NUMBER = re.compile(r'(-?(?:0|[1-9]\d*))(?:\.0+)?')
_FLAGS = {'0': 0, 'false': 0, 'no': 0, '': 0, '1': 1, 'true': 1, 'yes': 1}


class Defect(Exception):
    """A fault of one record and how to fix it; the reader adds file and record.

    Args:
        what: the fault.
        fix: how to fix it.
        kind: a text that all defects of this kind have, so that a report can count them; default ``what``.
    """

    def __init__(self, what: str, fix: str, kind: str = '') -> None:
        super().__init__(what, fix)
        self.what = what
        self.fix = fix
        self.kind = kind or what


class RecordDefect(NamedTuple):
    """A :class:`Defect` and the record that has it, such as ``'annotation 11 of image a.png'``."""

    record: str
    what: str
    fix: str
    kind: str = ''

    def __str__(self) -> str:
        return f'{self.record}: {self.what}; {self.fix}'


def normalise_coco(content: Any) -> Any:
    """A COCO JSON's content with one spelling of ids, flags, numbers and paths; the input isn't changed.

    Wrong values are kept, so that the parsers can name them; so is content that isn't COCO JSON.

    Example:
        >>> data = dict(annotations=[dict(id='7', image_id=1.0, iscrowd='0', bbox=['1', 2, 3.5, '4'])])
        >>> normalise_coco(data)['annotations']
        [{'id': 7, 'image_id': 1, 'iscrowd': 0, 'bbox': [1, 2, 3.5, 4]}]
        >>> normalise_coco(dict(images=[dict(id='x1', file_name='.\\\\a\\\\b.png', width='64')]))['images']
        [{'id': 'x1', 'file_name': 'a/b.png', 'width': 64}]
        >>> normalise_coco(dict(annotations=[dict(segmentation=[[1, 2, 4, 2, 4, 8]])]))['annotations'][0]['bbox']
        [1, 2, 3, 6]
    """
    if not isinstance(content, dict):
        return content
    tables = {key: [_normalise_record(record) for record in content[key]]
              for key in ('images', 'annotations', 'categories') if isinstance(content.get(key), list)}
    for record in tables.get('annotations', ()):
        if isinstance(record, dict):
            _normalise_box(record)
    return {**content, **tables}


def _normalise_box(annotation: dict) -> None:
    """Give an annotation of polygons alone the box around them, and one with corners (``bbox_mode`` 0) its sizes."""
    box, polygons = annotation.get('bbox'), annotation.get('segmentation')
    if box in (None, []) and isinstance(polygons, list) and polygons and all(
            isinstance(points, list) and len(points) >= 6 and len(points) % 2 == 0 and all(map(is_finite, points))
            for points in polygons):
        xs = [x for points in polygons for x in points[0::2]]
        ys = [y for points in polygons for y in points[1::2]]
        annotation['bbox'] = [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
    elif annotation.get('bbox_mode') == 0 and isinstance(box, list) and len(box) == 4 and all(map(is_finite, box)):
        annotation['bbox'] = [box[0], box[1], box[2] - box[0], box[3] - box[1]]
        annotation['bbox_mode'] = 1


def _normalise_record(record: Any) -> Any:
    if not isinstance(record, dict):
        return record
    return {key: _NORMAL[key](value) if key in _NORMAL else value for key, value in record.items()}


def normalise_id(value: Any) -> Any:
    """A whole number if the value is one in any spelling; else the value itself."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str):
        match = _WHOLE_NUMBER.fullmatch(value.strip()) if len(value) < 1000 else None
        return int(match[1]) if match else value.strip()
    return value


def normalise_number(value: Any) -> Any:
    """The number in a text; else the value itself."""
    if isinstance(value, str) and re.fullmatch(r'\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*', value[:40]) and (
            len(value) <= 40):
        return normalise_id(float(value))
    return value


def normalise_flag(value: Any) -> Any:
    """0 or 1 if the value means one of them; else the value itself."""
    if value is None:
        return 0
    if isinstance(value, (bool, int, float)) and value in (0, 1):
        return int(value)
    return _FLAGS.get(value.strip().lower(), value) if isinstance(value, str) else value


def normalise_path(value: Any) -> Any:
    r"""A file name with slashes and without './'; Windows tools write backslashes."""
    return re.sub(r'^(\./+)+', '', value.replace('\\', '/')) if isinstance(value, str) else value


def _normalise_numbers(value: Any) -> Any:
    return [_normalise_numbers(entry) for entry in value] if isinstance(value, (list, tuple)) else (
        normalise_number(value))


def _normalise_name(value: Any) -> Any:
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


_NORMAL: Mapping[str, Any] = dict(
    id=normalise_id, image_id=normalise_id, category_id=normalise_id, iscrowd=normalise_flag, ignore=normalise_flag,
    width=normalise_number, height=normalise_number, area=normalise_number, bbox=_normalise_numbers,
    annotated_region=_normalise_numbers, file_name=normalise_path, name=_normalise_name)


def needed(record: object, key: str) -> Any:
    """The value of a key that every record must have.

    Raises:
        Defect: the record isn't a dict, it lacks the key, or an id is neither a whole number nor a text.
    """
    if not isinstance(record, Mapping):
        raise Defect(f'is {short(record)}', 'every record is a dict', 'no dict')
    if record.get(key) is None:
        raise Defect(f'the key {key!r} is missing', f'it is needed; the record has {", ".join(map(str, record))}')
    value = record[key]
    if key.endswith('id') and (isinstance(value, bool) or not isinstance(value, (int, str))):
        raise Defect(f'{key} is {short(value)}', 'it needs a whole number or a text', f'{key} is no id')
    return value


def short(value: object) -> str:
    """The value for a message; a long one is cut."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):
        return f'a {type(value).__name__} that cannot be printed'
    return text if len(text) <= 80 else f'{text[:77]}...'


def parse_flag(record: Mapping, key: str) -> bool:
    """A normalised flag; a missing one is False.

    Raises:
        Defect: the value is neither 0 nor 1.
    """
    value = record.get(key, 0)
    if value not in (0, 1) or not isinstance(value, int):
        raise Defect(f'{key} is {short(value)}', f'{key} is 0 or 1', f'{key} is no flag')
    return bool(value)


def parse_size(image: Mapping, key: str) -> int:
    """Width or height in pixels.

    Raises:
        Defect: the value isn't a positive whole number, or is too large for an image.
    """
    value = needed(image, key)
    if not is_finite(value) or value != int(value) or not 0 < value <= MAX_SIDE_PX:
        raise Defect(f'{key} is {short(value)}', 'it needs a positive whole number of pixels', f'{key} is no size')
    return int(value)


def parse_name(category: Mapping) -> str:
    """A category's name.

    Raises:
        Defect: the name isn't a text, or cannot be printed.
    """
    name = needed(category, 'name')
    if not isinstance(name, str):
        raise Defect(f'its name is {short(name)}', 'a category is called by a text', 'name is no text')
    if not name or not name.isprintable():
        raise Defect(f'its name is {ascii(name)}', 'a name is one line of printable text', 'name is no text')
    return name


def parse_image_path(image: Mapping) -> str:
    """An image's ``file_name``; it must be within the folder of images.

    Raises:
        Defect: the name isn't a text, is a web address, leads out of the folder, or is impossible in a file system.
    """
    name = needed(image, 'file_name')
    if not isinstance(name, str):
        raise Defect(f'file_name is {short(name)}', 'it needs the path of the image under data_prefix',
                     'file_name is no text')
    if re.match(r'[a-zA-Z][\w+.-]*://', name):
        raise Defect(f'file_name {short(name)} is a web address', 'download the images and write their names under '
                     'data_prefix', 'file_name is a web address')
    try:
        too_long = any(len(part.encode()) > 255 for part in name.split('/')) or len(name.encode()) > 4000
    except UnicodeEncodeError:
        raise Defect(f'file_name {ascii(name)} is no valid text', 'rename the image', 'file_name is no text') from None
    if too_long or '\0' in name or not name.strip('/. '):
        raise Defect(f'file_name {short(name)} is no possible file name', 'rename the image',
                     'file_name is impossible')
    if '..' in name.split('/'):
        raise Defect(f'file_name {short(name)} leads out of the folder of images', 'write the path under data_prefix, '
                     'without ..', 'file_name leads out of the folder')
    return name


def is_finite(value: object) -> TypeGuard[float]:
    """Whether a value is a finite number; booleans and whole numbers too large for a float are not."""
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def parse_rectangle(raw: object, image_wh: tuple[int, int], max_overhang_px: float, noun: str = 'bbox') -> Box:
    """[x, y, width, height] in pixels -> xyxy, cut at the image's border.

    Args:
        raw: the value from the file.
        image_wh: width and height of the image in pixels.
        max_overhang_px: the rectangle may stick out of the image by this much (rounding of annotation tools).
        noun: what the rectangle is, for messages.

    Raises:
        Defect: the value isn't four finite numbers, has no positive size, or is wholly or partly outside the image.

    Example:
        >>> parse_rectangle([-0.5, 2, 10, 4], (9, 20), 1.0)
        (0.0, 2.0, 9.0, 6.0)
    """
    x, y, width, height = _four_numbers(raw, noun)
    if width <= 0 or height <= 0:
        raise Defect(f'{noun} {raw} has zero or negative width or height',
                     f'{noun} is [x, y, width, height] in pixels with positive sizes', f'{noun} without area')
    overhang = max(-x, -y, x + width - image_wh[0], y + height - image_wh[1])
    if overhang > max_overhang_px:
        raise Defect(f'{noun} {raw} reaches {overhang:g} px out of the image of {image_wh[0]}x{image_wh[1]} px',
                     f"cut it at the image's border, or correct the image's width and height (up to "
                     f'max_overhang_px={max_overhang_px:g} is cut in reading)', f'{noun} out of the image')
    box = (max(x, 0.0), max(y, 0.0), min(x + width, float(image_wh[0])), min(y + height, float(image_wh[1])))
    if box[2] <= box[0] or box[3] <= box[1]:
        raise Defect(f'{noun} {raw} lies wholly outside the image of {image_wh[0]}x{image_wh[1]} px',
                     "remove it, or correct the image's width and height", f'{noun} wholly outside')
    return box


def _four_numbers(raw: object, noun: str) -> Box:
    if not isinstance(raw, (list, tuple)) or len(raw) != 4 or not all(
            isinstance(n, (int, float)) and not isinstance(n, bool) for n in raw):
        raise Defect(f'{noun} is {short(raw)}', f'{noun} needs four numbers [x, y, width, height] in pixels',
                     f'{noun} is not four numbers')
    if not all(map(is_finite, raw)):
        raise Defect(f'{noun} {short(raw)} holds NaN, infinity or a number too large',
                     'write the true numbers or remove the record', f'{noun} is not finite')
    x, y, width, height = (float(n) for n in raw)
    return x, y, width, height


def recognise_boxes(boxes: Sequence[tuple[str, object, tuple[int, int]]],
                    max_overhang_px: float) -> RecordDefect | None:
    """A mistake that all boxes of a file share, if any: corners instead of sizes, or shares of the image.

    Args:
        boxes: record, ``bbox`` as in the file, and the image's width and height; at least three are needed.
        max_overhang_px: a box may stick out of its image by this much.
    """
    numbers = [(record, raw, image_wh) for record, raw, image_wh in boxes
               if isinstance(raw, (list, tuple)) and len(raw) == 4 and all(map(is_finite, raw))]
    if len(numbers) < 3:
        return None
    (record, first, first_wh), others = numbers[0], f' (and {len(numbers) - 1} more)'
    if all(0 <= min(raw) and 0 < min(raw[2:]) and max(raw) <= 1 for _, raw, _ in numbers):
        return RecordDefect(record + others, f'bbox {first} holds shares of the image and not pixels, as YOLO has them',
                            f'multiply by the width and height, here {first_wh[0]} and {first_wh[1]}; YOLO states the '
                            "box's centre, COCO its upper left corner", 'bbox in shares')
    as_sizes = as_corners = 0
    for _, (x, y, third, fourth), (width, height) in numbers:
        as_sizes += x + third <= width + max_overhang_px and y + fourth <= height + max_overhang_px
        as_corners += x < third <= width + max_overhang_px and y < fourth <= height + max_overhang_px
    if as_sizes < len(numbers) and as_corners >= 0.95 * len(numbers):
        x, y, third, fourth = first
        return RecordDefect(
            record + others, f'bbox {first} holds the corners x1, y1, x2, y2 instead of x, y, width, height: of '
            f'{len(numbers)} boxes {len(numbers) - as_sizes} stick out of their image, and as corners {as_corners} fit',
            f'write [x1, y1, x2 - x1, y2 - y1], here [{x:g}, {y:g}, {third - x:g}, {fourth - y:g}]', 'bbox as corners')
    return None


def parse_area(annotation: Mapping) -> float:
    """An annotation's area in square pixels; if the file lacks it, the area of its box, which is already checked.

    Raises:
        Defect: the area isn't a number, or is negative.
    """
    area = annotation.get('area')
    if area is None:
        return float(annotation['bbox'][2]) * float(annotation['bbox'][3])
    if not is_finite(area) or area < 0:
        raise Defect(f'area is {short(area)}', 'it needs a number of square pixels, 0 or more', 'area is no number')
    return float(area)


def parse_regions(raw: object, image_wh: tuple[int, int], max_overhang_px: float) -> tuple[Box, ...]:
    """One [x, y, width, height] or a list of them -> xyxy rectangles; an empty list: no part is annotated.

    Raises:
        Defect: see :func:`parse_rectangle`, or the value isn't a list.
    """
    if not isinstance(raw, (list, tuple)):
        raise Defect(f'annotated_region is {short(raw)}', 'it needs [x, y, width, height] or a list of such lists',
                     'annotated_region is no list')
    rectangles = raw if all(isinstance(entry, (list, tuple)) for entry in raw) else [raw]
    return tuple(parse_rectangle(entry, image_wh, max_overhang_px, 'annotated_region') for entry in rectangles)


def schema_spellings(schema: AttributeSchema) -> frozenset[str]:
    """Every spelling of every attribute of ``schema``."""
    return frozenset(spelling for attribute in schema.attributes for spelling in (attribute.key, *attribute.aliases))


def parse_attributes(annotation: Mapping, schema: AttributeSchema, spellings: Collection[str],
                     left_out: MutableMapping[str, int]) -> tuple[int, ...]:
    """The attribute values of one annotation, from its ``attributes`` dict and from its own keys.

    Args:
        annotation: raw annotation.
        schema: A attributes.
        spellings: :func:`schema_spellings` of the schema.
        left_out: counts the keys of ``attributes`` dicts that the schema lacks; this annotation's are added.

    Returns:
        A integers, IGNORE where unknown.

    Raises:
        Defect: a value isn't in the schema, or two spellings of one attribute have different values.
    """
    values = [IGNORE] * len(schema)
    stated: dict[int, str] = {}
    inner = annotation.get('attributes')
    if inner is not None and not isinstance(inner, Mapping):
        raise Defect(f'attributes is {short(inner)}', 'it needs a dict of attribute: value', 'attributes is no dict')
    pairs = [(key, annotation[key]) for key in annotation if key in spellings]
    for key, raw in [*(inner or {}).items(), *pairs]:
        position = schema.position(key)
        if position is None:
            left_out[key] = left_out.get(key, 0) + 1
            continue
        value = _encode(schema, key, raw)
        if position in stated and values[position] != value:
            raise Defect(f'attribute {schema.keys[position]!r} occurs twice with different values '
                         f'(as {stated[position]!r} and {key!r})', 'keep one of them')
        values[position] = value
        stated[position] = key
    return tuple(values)


def _encode(schema: AttributeSchema, key: str, raw: object) -> int:
    try:
        return schema.encode(key, raw)
    except (ValueError, OverflowError) as error:  # SchemaError is a ValueError, int(nan) another
        allowed = ', '.join(f'{i} ({name})' for i, name in enumerate(schema[key].values))
        raise Defect(f'attribute {key!r} has the value {short(raw)}, which is not in the schema',
                     f'allowed are {allowed}, or {IGNORE} or null for unknown') from error
