"""Metainfo of a data set from what a config says: a preset's name, or classes and attributes spelt out."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping

from mmleuk.errors import UserError
from mmleuk.schema import (
    LEUKEMIA_ATTRIBUTES,
    LEUKEMIA_CLASSES,
    TXL_PBC_CLASSES,
    WBCATT_ATTRIBUTES,
    WBCATT_CLASSES,
    AttributeSchema,
)

PRESETS: dict[str, tuple[tuple[str, ...], AttributeSchema]] = {
    'leukemia': (LEUKEMIA_CLASSES, LEUKEMIA_ATTRIBUTES),
    'txl_pbc': (TXL_PBC_CLASSES, AttributeSchema()),
    'wbcatt': (WBCATT_CLASSES, WBCATT_ATTRIBUTES),
}


def make_metainfo(metainfo: Mapping | None = None) -> dict:
    """Complete metainfo: ``classes``, ``attributes`` (plain dict) and ``palette``, further keys as they are.

    Args:
        metainfo: None for LeukemiaAttri's; or ``dict(preset='leukemia' | 'txl_pbc' | 'wbcatt')``; or
            ``dict(classes=..., attributes=...)``. Classes or attributes beside a preset replace the preset's. Classes
            without preset and attributes mean no attributes, attributes without classes LeukemiaAttri's classes.

    Raises:
        UserError: unknown preset, no classes, a class twice, or attributes that are no schema.

    Example:
        >>> make_metainfo(dict(preset='txl_pbc'))['classes']
        ('WBC', 'RBC', 'Platelets')
    """
    given = dict(metainfo or {})
    classes, schema = _preset(given.pop('preset', 'leukemia'))
    if metainfo and 'preset' not in metainfo and 'classes' in given:
        schema = AttributeSchema()
    if 'classes' in given:
        classes = _checked_classes(given['classes'])
    if 'attributes' in given:
        schema = AttributeSchema.from_dict(given['attributes'] or {})
    palette = given.get('palette') or make_palette(len(classes))
    return {**given, 'classes': classes, 'attributes': schema.to_dict(), 'palette': palette}


def _preset(name: str) -> tuple[tuple[str, ...], AttributeSchema]:
    if name not in PRESETS:
        raise UserError(f'metainfo has the unknown preset {name!r}; known are {", ".join(PRESETS)}')
    return PRESETS[name]


def _checked_classes(classes: object) -> tuple[str, ...]:
    if isinstance(classes, str) or not isinstance(classes, (list, tuple)) or not classes:
        raise UserError(f"metainfo's classes are {classes!r}; give a tuple of names, with a comma after a single one")
    if len(set(classes)) != len(classes):
        raise UserError(f"metainfo's classes name one twice: {', '.join(classes)}")
    return tuple(classes)


def make_palette(number: int) -> list[tuple[int, int, int]]:
    """Distinct RGB colours: hues a golden angle apart, so that neighbours in the list differ most.

    Example:
        >>> len(set(make_palette(14)))
        14
    """
    golden = 0.61803398875
    colours = (colorsys.hsv_to_rgb(place * golden % 1.0, 0.85, 0.6 + 0.4 * (place % 2)) for place in range(number))
    return [(round(255 * red), round(255 * green), round(255 * blue)) for red, green, blue in colours]
