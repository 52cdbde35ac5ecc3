"""Checks of single values in annotation files: boxes, regions, attributes. Pure; every defect is raised."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, MutableMapping
from typing import NamedTuple

from mmleuk.schema import IGNORE, AttributeSchema

Box = tuple[float, float, float, float]


class Defect(Exception):
    """What is wrong with one record and how to mend it; the reader adds file and record.

    Args:
        what: what was found.
        mend: what to do about it.
    """

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(what, mend)
        self.what = what
        self.mend = mend


class RecordDefect(NamedTuple):
    """A :class:`Defect` and whose it is, such as ``'annotation 11 of image a.png'``."""

    record: str
    what: str
    mend: str

    def __str__(self) -> str:
        return f'{self.record}: {self.what}; {self.mend}'


def parse_rectangle(raw: object, image_wh: tuple[int, int], max_overhang_px: float, noun: str = 'bbox') -> Box:
    """[x, y, width, height] in pixels -> xyxy, cut at the image's border.

    Args:
        raw: the value from the file.
        image_wh: width and height of the image in pixels.
        max_overhang_px: by how much the rectangle may stick out of the image (rounding of annotation tools).
        noun: what the rectangle is, for messages.

    Raises:
        Defect: not four finite numbers, no positive size, or wholly or partly outside the image.

    Example:
        >>> parse_rectangle([-0.5, 2, 10, 4], (9, 20), 1.0)
        (0.0, 2.0, 9.0, 6.0)
    """
    x, y, width, height = _four_numbers(raw, noun)
    if width <= 0 or height <= 0:
        raise Defect(f'{noun} {raw} has zero or negative width or height',
                     f'{noun} is [x, y, width, height] in pixels with positive sizes')
    overhang = max(-x, -y, x + width - image_wh[0], y + height - image_wh[1])
    if overhang > max_overhang_px:
        raise Defect(f'{noun} {raw} reaches {overhang:g} px out of the image of {image_wh[0]}x{image_wh[1]} px',
                     f"cut it at the image's border, or correct the image's width and height (up to "
                     f'max_overhang_px={max_overhang_px:g} is cut in reading)')
    box = (max(x, 0.0), max(y, 0.0), min(x + width, float(image_wh[0])), min(y + height, float(image_wh[1])))
    if box[2] <= box[0] or box[3] <= box[1]:
        raise Defect(f'{noun} {raw} lies wholly outside the image of {image_wh[0]}x{image_wh[1]} px',
                     "remove it, or correct the image's width and height")
    return box


def _four_numbers(raw: object, noun: str) -> Box:
    if not isinstance(raw, (list, tuple)) or len(raw) != 4 or not all(
            isinstance(n, (int, float)) and not isinstance(n, bool) for n in raw):
        raise Defect(f'{noun} is {raw!r}', f'{noun} needs four numbers [x, y, width, height] in pixels')
    if not all(math.isfinite(n) for n in raw):
        raise Defect(f'{noun} {raw} holds NaN or infinity', 'put the true numbers or remove the record')
    x, y, width, height = (float(n) for n in raw)
    return x, y, width, height


def parse_regions(raw: object, image_wh: tuple[int, int], max_overhang_px: float) -> tuple[Box, ...]:
    """One [x, y, width, height] or a list of them -> xyxy rectangles; an empty list means known nowhere.

    Raises:
        Defect: as :func:`parse_rectangle`, or no list.
    """
    if not isinstance(raw, (list, tuple)):
        raise Defect(f'annotated_region is {raw!r}', 'it needs [x, y, width, height] or a list of such lists')
    rectangles = raw if all(isinstance(entry, (list, tuple)) for entry in raw) else [raw]
    return tuple(parse_rectangle(entry, image_wh, max_overhang_px, 'annotated_region') for entry in rectangles)


def schema_spellings(schema: AttributeSchema) -> frozenset[str]:
    """Every spelling of every attribute of ``schema``."""
    return frozenset(spelling for attribute in schema.attributes for spelling in (attribute.key, *attribute.aliases))


def parse_attributes(annotation: Mapping, schema: AttributeSchema, spellings: Collection[str],
                     left_out: MutableMapping[str, int]) -> tuple[int, ...]:
    """The schema's values of one annotation, read from its ``attributes`` dict and from its own keys.

    Args:
        annotation: raw annotation.
        schema: A attributes.
        spellings: :func:`schema_spellings` of the schema.
        left_out: gets one more for every key of the ``attributes`` dict that the schema doesn't name.

    Returns:
        A integers, IGNORE where unknown.

    Raises:
        Defect: a value outside the schema, or two spellings of one attribute with different values.
    """
    values = [IGNORE] * len(schema)
    stated: dict[int, str] = {}
    inner = annotation.get('attributes')
    if inner is not None and not isinstance(inner, Mapping):
        raise Defect(f'attributes is {inner!r}', 'it needs a dict of attribute: value')
    pairs = [(key, annotation[key]) for key in annotation if key in spellings]
    for key, raw in [*(inner or {}).items(), *pairs]:
        position = schema.position(key)
        if position is None:
            left_out[key] = left_out.get(key, 0) + 1
            continue
        value = _encode(schema, key, raw)
        if position in stated and values[position] != value:
            raise Defect(f'attribute {schema.keys[position]!r} stands twice with different values '
                         f'(as {stated[position]!r} and {key!r})', 'keep one of them')
        values[position] = value
        stated[position] = key
    return tuple(values)


def _encode(schema: AttributeSchema, key: str, raw: object) -> int:
    try:
        return schema.encode(key, raw)
    except (ValueError, OverflowError) as error:  # SchemaError is a ValueError, int(nan) another
        allowed = ', '.join(f'{i} ({name})' for i, name in enumerate(schema[key].values))
        raise Defect(f'attribute {key!r} has the value {raw!r}, which is not in the schema',
                     f'allowed are {allowed}, or {IGNORE} or null for unknown') from error
