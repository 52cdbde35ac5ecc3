"""The parts of a cell's image that a mask tells apart, and how to merge them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

import numpy as np

from mmleuk.errors import UserError

PARTS = ('other', 'cytoplasm', 'nucleus', 'platelet', 'RBC', 'vacuole')
"""Values 0 to 5 of a mask, as in WBCAtt+ (3.1 and B.4). ``other`` is background and debris."""

NUCLEUS_CYTOPLASM = PARTS[:3]
"""Values 0 to 2: the parts of older data sets, such as Zheng et al. 2018."""

MERGED_AS_BEFORE: Mapping[str, str] = dict(vacuole='cytoplasm', platelet='other', RBC='other')
"""WBCAtt+'s merging into the three parts of older data sets (B.4)."""

PALETTE: Mapping[str, tuple[int, int, int]] = dict(
    other=(0, 0, 0), cytoplasm=(86, 180, 233), nucleus=(148, 45, 160), platelet=(240, 228, 66), RBC=(213, 94, 0),
    vacuole=(255, 255, 255))
"""RGB colours of drawings; those of Okabe and Ito where they have one, which colour-blind readers can tell apart."""

UNKNOWN = 255
"""Value of pixels that no part is known for; losses and scores leave them out."""


def merge_table(parts: Sequence[str], merge: Mapping[str, str]) -> np.ndarray:
    """Look-up table (256,) uint8 that replaces merged parts' values; other values stay.

    Args:
        parts: names by value.
        merge: ``{part: part that it becomes}``.

    Raises:
        UserError: a name is no part.

    >>> merge_table(PARTS, MERGED_AS_BEFORE)[:6].tolist()
    [0, 1, 2, 0, 0, 1]
    """
    table = np.arange(256, dtype=np.uint8)
    for part, target in merge.items():
        table[part_value(parts, part)] = part_value(parts, target)
    return table


def part_value(parts: Sequence[str], name: str) -> int:
    """Value of a part in masks.

    Raises:
        UserError: the name is no part.
    """
    if name not in parts:
        close = difflib.get_close_matches(name, parts, n=1)
        hint = f'. Did you mean {close[0]!r}?' if close else f'; known are {", ".join(parts)}'
        raise UserError(f'unknown part {name!r}{hint}')
    return list(parts).index(name)
