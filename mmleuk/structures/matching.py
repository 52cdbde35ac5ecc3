"""Which detection found which cell: COCO's greedy matching, for one image or for all images of a data set at once.

Legend: D detections, G cells, P pairs, T thresholds of IoU, C largest number of candidates of one detection.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

UNMATCHED = -1
"""A detection that found no cell."""

DISREGARDED = -2
"""A detection on an ignored cell: neither right nor wrong."""

_ALMOST_ONE = 1 - 1e-10  # COCO's cap: boxes that are equal up to rounding match at a threshold of 1


def pairwise_iou(first_xyxy: NDArray, second_xyxy: NDArray, ignored: NDArray | None = None) -> NDArray[np.float64]:
    """IoU of every pair of boxes, as pycocotools computes it.

    Args:
        first_xyxy: (D, 4) pixels.
        second_xyxy: (G, 4) pixels.
        ignored: (G,) bool; for these, as for COCO's crowds, the share of the first box that lies in the second.

    Returns:
        (D, G).

    Example:
        >>> pairwise_iou(np.array([[0, 0, 2, 1]]), np.array([[1, 0, 3, 1], [5, 5, 6, 6]])).round(3).tolist()
        [[0.333, 0.0]]
    """
    if not len(first_xyxy) or not len(second_xyxy):
        return np.zeros((len(first_xyxy), len(second_xyxy)))
    flags = np.zeros(len(second_xyxy), np.uint8) if ignored is None else np.asarray(ignored, np.uint8)
    return coco_mask.iou(_xywh(first_xyxy), _xywh(second_xyxy), flags)


def _xywh(boxes_xyxy: NDArray) -> NDArray[np.float64]:
    boxes = np.asarray(boxes_xyxy, np.float64)
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)


def match(iou: NDArray, scores: NDArray, *, min_iou: float, ignored: NDArray | None = None,
          allowed: NDArray | None = None) -> NDArray[np.int64]:
    """Match the detections of one image to its cells, as COCO does.

    Detections are taken by score, highest first; of equal scores the earlier detection comes first. Each one gets the
    free cell with the largest IoU; of equal IoUs the later cell. A cell is matched once. If no cell is free, a
    detection on
    an ignored cell is disregarded; an ignored cell may have any number of them.

    Args:
        iou: (D, G), as of :func:`pairwise_iou`.
        scores: (D,), detections in any order.
        min_iou: smallest IoU of a match, above 0.
        ignored: (G,) bool; none by default.
        allowed: (D, G) bool, pairs that may match, such as those of one class; all by default.

    Returns:
        (D,) index of the cell, UNMATCHED or DISREGARDED.

    Example: the second detection's best cell is taken, so it gets its next best.
        >>> match(np.array([[0.9, 0.0], [0.8, 0.6]]), np.array([0.7, 0.5]), min_iou=0.5).tolist()
        [0, 1]
    """
    ignored = np.zeros(iou.shape[1], bool) if ignored is None else np.asarray(ignored, bool)
    order = np.argsort(-np.asarray(scores), kind='stable')
    candidates = iou if allowed is None else np.where(allowed, iou, 0.0)
    rows, cells = np.nonzero(candidates[order] > 0)
    pairs = Pairs(rows, cells, candidates[order[rows], cells])
    taken = match_pairs(pairs, np.zeros(len(order), np.int64), np.array([min_iou]), ignored, ignored)[:, 0]
    found: NDArray = np.empty(len(order), np.int64)
    found[order] = np.where(np.r_[ignored, False][taken], DISREGARDED, taken)  # UNMATCHED is -1: the entry at the end
    return found


@dataclass(frozen=True)
class Pairs:
    """Detections and cells that overlap.

    Args:
        detections, cells: (P,) int64 indices.
        iou: (P,) float64.
    """

    detections: NDArray[np.int64]
    cells: NDArray[np.int64]
    iou: NDArray[np.float64]

    def select(self, chosen: NDArray[np.bool_]) -> Pairs:
        """The pairs of a (P,) mask."""
        return Pairs(self.detections[chosen], self.cells[chosen], self.iou[chosen])


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


def match_pairs(pairs: Pairs, groups: NDArray[np.int64], thresholds: NDArray[np.float64], ignored: NDArray[np.bool_],
                crowd: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The rule of :func:`match` for many images, classes and thresholds at once.

    Groups share no cells. So the first detections of all groups are matched in one step, then all second ones, and so
    on.

    Args:
        pairs: pairs that may match.
        groups: (D,) detections of one group compete, in their order; a cell must have pairs in one group only.
        thresholds: (T,) smallest IoU of a match.
        ignored: (G,) bool, cells that are matched only if no other is free.
        crowd: (G,) bool, cells that may be matched several times.

    Returns:
        (D, T) the cell that a detection took, ignored or not, or UNMATCHED.
    """
    matches = np.full((len(groups), len(thresholds)), UNMATCHED, np.int64)
    limits = np.minimum(thresholds, _ALMOST_ONE)
    pairs = pairs.select(pairs.iou >= limits.min(initial=1))
    if not len(pairs.iou):
        return matches
    rows, cells, iou = _candidates(pairs, ignored)
    turns = rank_in_group(groups[rows])
    order = np.argsort(turns, kind='stable')
    bounds = np.searchsorted(turns[order], np.arange(turns.max() + 2))
    taken = np.zeros((len(ignored) + 1, len(thresholds)), bool)
    taken[-1] = True  # the filler of short candidate lists
    often = np.r_[crowd, False][:, None]
    for start, stop in zip(bounds, bounds[1:]):
        turn = order[start:stop]
        found: NDArray = np.full((len(turn), len(thresholds)), UNMATCHED, np.int64)
        for column in range(cells.shape[1]):
            cell = cells[turn, column]
            if (cell == len(ignored)).all():
                break
            fits = (iou[turn, column][:, None] >= limits) & (~taken[cell] | often[cell]) & (found == UNMATCHED)
            found = np.where(fits, cell[:, None], found)
        who, where = np.nonzero(found != UNMATCHED)
        taken[found[who, where], where] = True
        matches[rows[turn]] = found
    return matches


def _candidates(pairs: Pairs, ignored: NDArray[np.bool_]) -> tuple[NDArray, NDArray, NDArray]:
    """Each detection's cells, the one that it prefers first.

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
