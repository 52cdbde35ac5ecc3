"""Which detections overlap which cells, and who takes whom: COCO's greedy matching over all images at once.

Legend: D detections, G cells, P pairs, T thresholds of IoU, C most candidates of one detection.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from mmleuk.evaluation.detections import Detections
from mmleuk.evaluation.matching import UNMATCHED
from mmleuk.evaluation.truth import GroundTruth

_ALMOST_ONE = 1 - 1e-10  # COCO's cap: boxes that are equal up to rounding match at a threshold of 1


@dataclass(frozen=True)
class Pairs:
    """Detections and cells of one image that overlap, ordered by detection, then by cell.

    Args:
        detections: (P,) int64.
        cells: (P,) int64.
        iou: (P,) float64, as pycocotools computes it: for a crowd, the share of the detection that lies in it.
    """

    detections: NDArray[np.int64]
    cells: NDArray[np.int64]
    iou: NDArray[np.float64]

    def select(self, chosen: NDArray[np.bool_]) -> Pairs:
        """The pairs of a (P,) mask."""
        return Pairs(self.detections[chosen], self.cells[chosen], self.iou[chosen])


def overlapping_pairs(detections: Detections, truth: GroundTruth, min_iou: float) -> Pairs:
    """All pairs with an IoU of at least ``min_iou`` (above 0), whatever their classes."""
    places = np.arange(len(truth.images) + 1)
    first_detection = np.searchsorted(detections.image_of, places)
    first_cell = np.searchsorted(truth.image_of, places)
    crowd = truth.crowd.astype(np.uint8)
    found: list[tuple[NDArray, NDArray, NDArray]] = []
    for d0, d1, g0, g1 in zip(first_detection, first_detection[1:], first_cell, first_cell[1:]):
        if d0 == d1 or g0 == g1:
            continue
        iou = coco_mask.iou(detections.boxes_xywh[d0:d1], truth.boxes_xywh[g0:g1], crowd[g0:g1])
        rows, columns = np.nonzero(iou >= min_iou)
        found.append((rows + d0, columns + g0, iou[rows, columns]))
    if not found:
        return Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    return Pairs(*(np.concatenate(column) for column in zip(*found)))


def rank_in_group(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many earlier entries belong to the same group.

    >>> rank_in_group(np.array([7, 3, 7, 7, 3])).tolist()
    [0, 0, 1, 2, 1]
    """
    order = np.argsort(groups, kind='stable')
    ordered = groups[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(groups) else np.zeros(0, np.int64)
    lengths = np.diff(np.r_[starts, len(groups)])
    ranks = np.empty(len(groups), np.int64)
    ranks[order] = np.arange(len(groups)) - np.repeat(starts, lengths)
    return ranks


def match_greedily(pairs: Pairs, groups: NDArray[np.int64], n_cells: int, thresholds: NDArray[np.float64],
                   ignored: NDArray[np.bool_], crowd: NDArray[np.bool_]) -> NDArray[np.int64]:
    """COCO's matching: by descending score, each detection takes the free cell with the largest IoU.

    An ignored cell is taken only where no other is left; a crowd may be taken often; of equal IoUs the later cell
    wins. Groups don't touch each other's cells, so the first detections of all groups are matched in one step, then
    all second ones, and so on.

    Args:
        pairs: that may match, with an IoU of at least the smallest threshold.
        groups: (D,) detections of one group compete, in their order; a cell must have pairs in one group only.
        n_cells: G.
        thresholds: (T,) smallest IoU of a match.
        ignored, crowd: (G,) bool.

    Returns:
        (D, T) the cell that a detection took, or UNMATCHED.
    """
    matches = np.full((len(groups), len(thresholds)), UNMATCHED, np.int64)
    if not len(pairs.iou):
        return matches
    rows, cells, iou = _candidates(pairs, ignored)
    turns = rank_in_group(groups[rows])
    order = np.argsort(turns, kind='stable')
    bounds = np.searchsorted(turns[order], np.arange(turns.max() + 2))
    taken = np.zeros((n_cells + 1, len(thresholds)), bool)
    taken[n_cells] = True  # what fills up short lists of candidates
    many = np.r_[crowd, False][:, None]
    limits = np.minimum(thresholds, _ALMOST_ONE)
    for start, stop in zip(bounds, bounds[1:]):
        turn = order[start:stop]
        found: NDArray = np.full((len(turn), len(thresholds)), UNMATCHED, np.int64)
        for column in range(cells.shape[1]):
            cell = cells[turn, column]
            if (cell == n_cells).all():
                break
            fits = (iou[turn, column][:, None] >= limits) & (~taken[cell] | many[cell]) & (found == UNMATCHED)
            found = np.where(fits, cell[:, None], found)
        who, where = np.nonzero(found != UNMATCHED)
        taken[found[who, where], where] = True
        matches[rows[turn]] = found
    return matches


def _candidates(pairs: Pairs, ignored: NDArray[np.bool_]) -> tuple[NDArray, NDArray, NDArray]:
    """Each detection's cells, the dearest first.

    Returns:
        The detections that have any, (N,); their cells (N, C), filled up with G; the IoUs (N, C), filled up with 0.
    """
    order = np.lexsort((-pairs.cells, -pairs.iou, ignored[pairs.cells], pairs.detections))
    rows, row_of = np.unique(pairs.detections[order], return_inverse=True)
    columns = rank_in_group(row_of)
    cells: NDArray = np.full((len(rows), int(columns.max()) + 1), len(ignored), np.int64)
    iou: NDArray = np.zeros(cells.shape)
    cells[row_of, columns], iou[row_of, columns] = pairs.cells[order], pairs.iou[order]
    return rows, cells, iou
