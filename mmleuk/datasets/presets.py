"""Metainfo of a data set from a config: the name of a declared data set, or a list of classes and attributes."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping

from mmleuk.errors import UserError
from mmleuk.schema import AttributeSchema, Declaration, get_declaration


def make_metainfo(metainfo: Mapping | None) -> dict:
    """Complete metainfo: ``classes``, ``attributes`` (plain dict), ``leukocytes``, ``described`` and ``palette``.

    Args:
        metainfo: ``dict(preset=NAME)`` with a name of :data:`mmleuk.schema.DECLARATIONS`, or the declaration itself:
            ``dict(classes=..., attributes=..., leukocytes=..., described=...)``; only ``classes`` is required. Keys
            beside ``preset`` replace those of the preset. Other keys are kept.

    Raises:
        UserError: there is neither preset nor classes, the preset is unknown, or :class:`mmleuk.schema.Declaration`
            refuses the values.

    Example:
        >>> make_metainfo(dict(preset='txl_pbc'))['classes'], make_metainfo(dict(classes=['Blast']))['leukocytes']
        (('WBC', 'RBC', 'Platelets'), ('Blast',))
    """
    given = dict(metainfo or {})
    if 'preset' not in given and 'classes' not in given:
        raise UserError("metainfo names no classes: give metainfo=dict(classes=('WBC', ...)), or metainfo=dict(preset="
                        "'...') with the name of a declared data set")
    stated = {key: given.pop(key) for key in ('classes', 'attributes', 'leukocytes', 'described') if key in given}
    if 'attributes' in stated:
        stated['attributes'] = AttributeSchema.from_dict(stated['attributes'] or {})
    name = given.pop('preset', None)
    if name is not None:
        base = get_declaration(name)
        stated = dict(classes=base.classes, attributes=base.attributes) | stated
        if stated['classes'] == base.classes:
            stated = dict(leukocytes=base.leukocytes, described=base.described or None) | stated
    declaration = Declaration(name or 'metainfo', **stated)
    palette = given.get('palette') or make_palette(len(declaration.classes))
    return {**given, **declaration.metainfo(), 'palette': palette}


def make_palette(number: int) -> list[tuple[int, int, int]]:
    """Distinct RGB colours: hues differ by the golden angle, so that neighbours in the list differ most.

    Example:
        >>> len(set(make_palette(14)))
        14
    """
    golden = 0.61803398875
    colours = (colorsys.hsv_to_rgb(index * golden % 1.0, 0.85, 0.6 + 0.4 * (index % 2)) for index in range(number))
    return [(round(255 * red), round(255 * green), round(255 * blue)) for red, green, blue in colours]
