"""Exact masks of what a film shows: the parts of :data:`mmleuk.structures.cell_parts.PARTS`."""

from __future__ import annotations

import numpy as np

from mmleuk.structures.cell_parts import PARTS
from mmleuk.synthetic.leukocytes import Patch

_VALUE = {part: value for value, part in enumerate(PARTS)}


def leukocyte_mask(patch: Patch) -> np.ndarray:
    """Parts of a leukocyte's or artifact's patch, (H, W) uint8; ``other`` outside it.

    A pixel belongs to the nucleus or a vacuole if more than half of it is covered. Granules and Auer rods are
    cytoplasm, or nucleus where they lie on it; bare and smudged nuclei are nucleus.
    """
    mask = np.where(patch.mask, _VALUE['cytoplasm'], _VALUE['other']).astype(np.uint8)
    for layer, part in (('vacuoles', 'vacuole'), ('nucleus', 'nucleus')):
        if layer in patch.layers:
            mask[patch.mask & (patch.layers[layer] > 0.5)] = _VALUE[part]
    return mask


def platelet_mask(patch: Patch) -> np.ndarray:
    """Parts of platelets' patch, (H, W) uint8."""
    return np.where(patch.mask, _VALUE['platelet'], _VALUE['other']).astype(np.uint8)


def red_cell_mask(covered: np.ndarray) -> np.ndarray:
    """Parts of a film with nothing but red cells, (S, S) uint8, from where they are, (S, S) bool."""
    return np.where(covered, _VALUE['RBC'], _VALUE['other']).astype(np.uint8)


def lay_mask(parts: np.ndarray, patch_mask: np.ndarray, left: int, top: int) -> None:
    """Lay a patch's parts over a film's (S, S) mask in place, as :func:`mmleuk.synthetic.film.lay` lays its density."""
    height, width = patch_mask.shape
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + width, parts.shape[1]), min(top + height, len(parts))
    if x0 >= x1 or y0 >= y1:
        return
    inner = patch_mask[y0 - top:y1 - top, x0 - left:x1 - left]
    np.copyto(parts[y0:y1, x0:x1], inner, where=inner != _VALUE['other'])
