"""Carried cells beside the cells that the target's own annotation has: where do the two contradict each other?

Legend: N carried cells, G cells of the target's annotation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from mmleuk.structures.matching import pairwise_iou

AGREES, SHIFTED, NO_BOX = 'agrees', 'shifted', 'no box'


@dataclass(frozen=True)
class CellCheck:
    """A carried cell and its counterpart.

    Args:
        cell: index of the carried cell.
        counterpart: index of the annotation's cell; None where there is none.
        verdict: 'agrees' (IoU at least 0.5), 'shifted' (the nearest free box lies within the cell's size) or 'no box'.
        iou: with the counterpart; 0 without one.
        offset_xy: centre of the counterpart minus that of the carried cell, pixels; None without one.
    """

    cell: int
    counterpart: int | None
    verdict: str
    iou: float = 0.0
    offset_xy: tuple[float, float] | None = None

    @property
    def distance_px(self) -> float | None:
        """Distance of the centres; None without a counterpart."""
        return None if self.offset_xy is None else float(np.hypot(*self.offset_xy))


@dataclass(frozen=True)
class FieldCheck:
    """All carried cells of one target image; ``extra`` are annotated cells that no carried cell claims."""

    cells: tuple[CellCheck, ...]
    extra: int

    def count(self, verdict: str) -> int:
        """Number of cells with a verdict."""
        return sum(cell.verdict == verdict for cell in self.cells)

    @property
    def contradicts(self) -> bool:
        """Whether more boxes are shifted than agree."""
        return self.count(SHIFTED) > self.count(AGREES)

    @property
    def shift_px(self) -> tuple[float, float] | None:
        """Median offset (x, y) of the shifted boxes."""
        offsets = [cell.offset_xy for cell in self.cells if cell.verdict == SHIFTED and cell.offset_xy]
        return (median(x for x, _ in offsets), median(y for _, y in offsets)) if offsets else None


def compare_field(carried_xyxy: NDArray[np.float64], truth_xyxy: NDArray[np.float64],
                  regions_xyxy: Sequence[Sequence[float]], *, min_iou: float = 0.5) -> FieldCheck:
    """Pair carried cells (N, 4) with the annotation's cells (G, 4), by IoU first, then by the distance of the centres.

    Args:
        carried_xyxy: pixels of the target.
        truth_xyxy: pixels of the target.
        regions_xyxy: where the source knows all cells; only there an annotated cell can be extra.
        min_iou: from which two boxes are of one cell.
    """
    carried, truth = carried_xyxy.reshape(-1, 4), truth_xyxy.reshape(-1, 4)
    iou = pairwise_iou(carried, truth)
    centres = [(boxes[:, :2] + boxes[:, 2:]) / 2 for boxes in (carried, truth)]
    offsets = centres[1][None] - centres[0][:, None]                                # (N, G, 2)
    distances = np.linalg.norm(offsets, axis=2)
    sizes = np.sqrt((carried[:, 2:] - carried[:, :2]).prod(1))
    pairs = _greedy(np.where(iou >= min_iou, iou, -np.inf))
    near = np.where(distances <= sizes[:, None], -distances, -np.inf)
    near[list(pairs)], near[:, list(pairs.values())] = -np.inf, -np.inf
    shifted = _greedy(near)
    checks = []
    for cell in range(len(carried)):
        other = pairs.get(cell, shifted.get(cell))
        verdict = AGREES if cell in pairs else SHIFTED if cell in shifted else NO_BOX
        checks.append(CellCheck(cell, None, verdict) if other is None else CellCheck(
            cell, other, verdict, float(iou[cell, other]), tuple(offsets[cell, other].tolist())))
    claimed = {*pairs.values(), *shifted.values()}
    extra = [index for index, centre in enumerate(centres[1]) if index not in claimed and any(
        x1 <= centre[0] < x2 and y1 <= centre[1] < y2 for x1, y1, x2, y2 in regions_xyxy)]
    return FieldCheck(tuple(checks), len(extra))


def _greedy(values: NDArray[np.float64]) -> dict[int, int]:
    """Rows and columns paired by the largest values first; -inf never."""
    pairs: dict[int, int] = {}
    for flat in np.argsort(-values, axis=None, kind='stable'):
        row, column = (int(index) for index in np.unravel_index(flat, values.shape))
        if not np.isfinite(values[row, column]):
            break
        if row not in pairs and column not in pairs.values():
            pairs[row] = column
    return pairs
