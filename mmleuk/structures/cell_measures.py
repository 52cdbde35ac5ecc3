"""Numbers that a hematologist reads, from the mask of a cell's parts: areas, ratio, lobes, roundness.

All of it is geometry of pixels; nothing here needs a model.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import cv2
import numpy as np

from mmleuk.structures.cell_parts import PARTS, part_value

NECK = 1 / 3
"""Two parts of a nucleus are lobes of their own if their bridge is at most this share of the smaller one's width.

A band neutrophil's nucleus is narrower by less than that: laboratories call it segmented below a third.
"""

SMALLEST_LOBE = 0.3
"""A lobe's width is at least this share of the widest one's, else it is a roughness of the outline."""

SMALLEST_VACUOLE = 3
"""Pixels; smaller spots are errors of the mask."""


@dataclass(frozen=True)
class CellMeasures:
    """One cell.

    Areas are in pixels, or in square micrometres after :meth:`scaled`. ``nucleus_share`` is nucleus / cell,
    ``nc_ratio`` nucleus / cytoplasm, where the cytoplasm includes its vacuoles: both None without a nucleus or without
    cytoplasm. Roundness is the area as a share of the circle over the largest diameter: 1 for a disc, 0.64 for a
    square, 1/2 for an ellipse of 2:1. ``lobes`` counts the nucleus's lobes, 0 without one. ``touches_border``: the cell
    is cut by the image's border, so that its numbers are too small.
    """

    cell_area: float
    nucleus_area: float
    cytoplasm_area: float
    vacuole_area: float
    vacuoles: int
    nc_ratio: float | None
    nucleus_share: float | None
    lobes: int
    cell_roundness: float
    nucleus_roundness: float | None
    touches_border: bool

    def scaled(self, um_per_px: float) -> CellMeasures:
        """The same with areas in square micrometres; ratios and counts have no unit."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        for name in ('cell_area', 'nucleus_area', 'cytoplasm_area', 'vacuole_area'):
            values[name] *= um_per_px ** 2
        return CellMeasures(**values)


def measure_cell(mask: np.ndarray) -> CellMeasures | None:
    """Measure the cell of a single-cell image: of several, the one with the largest nucleus, then the largest.

    Args:
        mask: (H, W) uint8, values as :data:`PARTS`.

    Returns:
        None if the mask shows no cell.
    """
    cytoplasm, nucleus, vacuole = (mask == part_value(PARTS, name) for name in ('cytoplasm', 'nucleus', 'vacuole'))
    number, labels = cv2.connectedComponents((cytoplasm | nucleus | vacuole).astype(np.uint8), connectivity=4)
    if number == 1:
        return None
    areas = np.stack([np.bincount(labels[part], minlength=number)[1:] for part in (nucleus, labels > 0)])
    cell = labels == 1 + np.lexsort(areas[::-1])[-1]
    nucleus, vacuole = nucleus & cell, vacuole & cell
    cell_area, nucleus_area = int(cell.sum()), int(nucleus.sum())
    cytoplasm_area = cell_area - nucleus_area
    holes = cv2.connectedComponentsWithStats(vacuole.astype(np.uint8), connectivity=4)[2][1:, cv2.CC_STAT_AREA]
    has_both = nucleus_area > 0 and cytoplasm_area > 0
    return CellMeasures(
        cell_area=cell_area, nucleus_area=nucleus_area, cytoplasm_area=cytoplasm_area, vacuole_area=int(vacuole.sum()),
        vacuoles=int((holes >= SMALLEST_VACUOLE).sum()),
        nc_ratio=nucleus_area / cytoplasm_area if has_both else None,
        nucleus_share=nucleus_area / cell_area if has_both else None, lobes=count_lobes(nucleus),
        cell_roundness=roundness(cell), nucleus_roundness=roundness(nucleus) if nucleus_area else None,
        touches_border=bool(cell[[0, -1]].any() or cell[:, [0, -1]].any()))


def roundness(shape: np.ndarray) -> float:
    """4 * area / (pi * d^2) with the largest diameter d, between corners of pixels; (H, W) bool with a pixel in it.

    It doesn't need the length of an outline, which depends on how pixels are counted.

    >>> round(roundness(np.ones((4, 4), bool)), 4)  # d is the diagonal: 2 / pi
    0.6366
    """
    rows, columns = np.nonzero(shape)
    corners = np.concatenate([np.stack([columns + dx, rows + dy], 1) for dx in (0, 1) for dy in (0, 1)])
    hull = cv2.convexHull(corners.astype(np.int32))[:, 0].astype(np.float64)
    squared = ((hull[:, None] - hull[None]) ** 2).sum(2).max()
    return float(4 * len(rows) / (np.pi * squared))


def count_lobes(nucleus: np.ndarray, neck: float = NECK) -> int:
    """Lobes of a nucleus, (H, W) bool.

    The pixels are taken from the middle outwards, by their distance from the outline. Where two summits meet, the
    distance is half the width of the bridge between them; the lower summit is a lobe of its own if that is at most
    ``neck`` of its own distance. Separate pieces are lobes.

    Example:
        >>> bar = np.zeros((11, 31), bool)
        >>> bar[1:10, 1:10] = bar[1:10, 21:30] = True
        >>> bar[5, 10:21] = True  # a filament of one pixel
        >>> count_lobes(bar), count_lobes(np.ones((9, 30), bool)), count_lobes(np.zeros((4, 4), bool))
        (2, 1, 0)
    """
    padded = np.pad(nucleus, 1)
    depth = cv2.distanceTransform(padded.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    depth = np.maximum(depth - 0.5, 0)  # from the outline, not from the next pixel's centre
    order = np.argsort(-depth, axis=None, kind='stable')[:int(padded.sum())]
    return _count_summits(depth.ravel(), order, padded.shape[1], neck)


def _count_summits(depth: np.ndarray, order: np.ndarray, width: int, neck: float) -> int:
    """Summits of ``depth`` that count; ``order`` are the pixels by falling depth, ``width`` is the image's."""
    steps = (-width - 1, -width, -width + 1, -1, 1, width - 1, width, width + 1)
    parent: dict[int, int] = {}
    lowest = SMALLEST_LOBE * depth.max(initial=0)

    def root(pixel: int) -> int:
        while parent[pixel] != pixel:
            parent[pixel] = parent[parent[pixel]]
            pixel = parent[pixel]
        return pixel

    lobes = 0
    for pixel in order.tolist():  # a root is its component's first, so its deepest pixel
        parent[pixel] = pixel
        for top in {root(pixel + step) for step in steps if pixel + step in parent} - {pixel}:
            own = root(pixel)
            if own == pixel:  # the pixel joins its first neighbour
                parent[pixel] = top
                continue
            low, high = sorted((own, top), key=lambda summit: depth[summit])
            lobes += depth[low] >= lowest and depth[pixel] <= neck * depth[low]
            parent[low] = high
    return int(lobes + sum(depth[pixel] >= lowest for pixel, above in parent.items() if pixel == above))
