"""COCO's average precision and recall, matched once and summed up for any set of images.

The arithmetic is pycocotools' to the last digit, in another order of loops: all images and thresholds at once. Where
pycocotools says -1 (no ground truth), this says NaN.

Legend: D detections, G cells, K classes, A size ranges, T thresholds of IoU, R recalls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pycocotools.cocoeval import Params

from mmleuk.evaluation.detections import Detections
from mmleuk.evaluation.matching import UNMATCHED
from mmleuk.evaluation.overlaps import Pairs, match_greedily, rank_in_group
from mmleuk.evaluation.truth import GroundTruth

_COCO = Params('bbox')
THRESHOLDS: NDArray[np.float64] = _COCO.iouThrs
"""0.5, 0.55 ... 0.95."""
RECALLS: NDArray[np.float64] = _COCO.recThrs
"""0, 0.01 ... 1."""
SIZES: Mapping[str, tuple[float, float]] = {name: tuple(area) for name, area in zip(_COCO.areaRngLbl, _COCO.areaRng)}
"""COCO's size ranges in square pixels."""
FEW = (1, 10)
"""COCO's recall is also given for this many detections per image and class."""


@dataclass(frozen=True)
class Matches:
    """Every detection's fate in one size range.

    Args:
        cells: (D, T) the cell that it took, or UNMATCHED.
        hit: (D, T) it found a cell.
        disregarded: (D, T) it counts neither way: it took an ignored cell, or it is of another size and took none.
        counted: (G,) the cell counts: no crowd, and of this size.
    """

    cells: NDArray[np.int64]
    hit: NDArray[np.bool_]
    disregarded: NDArray[np.bool_]
    counted: NDArray[np.bool_]


@dataclass(frozen=True)
class CocoScores:
    """Precision and recall of one set of images and one size range.

    Args:
        precision: (T, R, K) precision at each recall; NaN for a class without ground truth.
        scores: (T, R, K) score at which that recall is reached; 0 where it isn't, NaN as above.
        recall: (T, K) recall of all detections; NaN as above.
        recall_of_few: the same of the 1 and 10 surest detections per image and class.
        n_cells, n_detections: (K,) that count.
    """

    precision: NDArray[np.float64]
    scores: NDArray[np.float64]
    recall: NDArray[np.float64]
    recall_of_few: Mapping[int, NDArray[np.float64]]
    n_cells: NDArray[np.int64]
    n_detections: NDArray[np.int64]

    def ap(self, iou: float | None = None, label: int | None = None) -> float:
        """Average precision: at one IoU or over 0.5 to 0.95, of one class or the mean; NaN without ground truth."""
        part = self.precision if iou is None else self.precision[np.isclose(THRESHOLDS, iou)]
        return known_mean(part if label is None else part[:, :, label])

    def ar(self, label: int | None = None) -> float:
        """Average recall over IoU 0.5 to 0.95 of all detections; NaN without ground truth."""
        return known_mean(self.recall if label is None else self.recall[:, label])


def known_mean(values: NDArray[np.float64]) -> float:
    """Mean of what is not NaN, summed in pycocotools' order; NaN where nothing is known."""
    known = values[~np.isnan(values)]
    return float(np.mean(known)) if known.size else float('nan')


def keep_surest(detections: Detections, per_class: int, n_classes: int) -> Detections:
    """At most ``per_class`` detections of each class in each image."""
    return detections.select(rank_in_group(detections.image_of * n_classes + detections.labels) < per_class)


def match_classes(detections: Detections, truth: GroundTruth, pairs: Pairs, thresholds: NDArray[np.float64],
                  size: str = 'all') -> Matches:
    """Match detections to cells of their own class.

    Args:
        detections: all of them.
        truth: the cells.
        pairs: all pairs with an IoU of at least the smallest threshold.
        thresholds: (T,).
        size: one of SIZES.
    """
    low, high = SIZES[size]
    counted = ~truth.crowd & (truth.areas >= low) & (truth.areas <= high)
    own = detections.labels[pairs.detections] == truth.labels[pairs.cells]
    cells = match_greedily(pairs.select(own & (pairs.iou >= thresholds.min())),
                           detections.image_of * len(truth.classes) + detections.labels, len(truth.labels),
                           thresholds, ~counted, truth.crowd)
    areas = detections.boxes_xywh[:, 2] * detections.boxes_xywh[:, 3]
    other_size = (areas < low) | (areas > high)
    matched = cells != UNMATCHED
    hit = matched & np.r_[counted, False][cells]  # UNMATCHED is -1: the entry put at the end
    return Matches(cells, hit, np.where(matched, ~hit, other_size[:, None]), counted)


class Scorer:
    """Sums matches up; classes and scores are sorted once for all sets of images.

    Args:
        detections: as matched.
        truth: as matched.
    """

    def __init__(self, detections: Detections, truth: GroundTruth) -> None:
        self._truth, self._detections = truth, detections
        # Stable, as in pycocotools: of equal scores the earlier image comes first.
        self._order = np.lexsort((-detections.scores, detections.labels))
        self._rank = rank_in_group(detections.image_of * len(truth.classes) + detections.labels)

    def score(self, matches: Matches, images: NDArray[np.bool_] | None = None) -> CocoScores:
        """Scores over all images, or over those of an (I,) mask."""
        detections, truth = self._detections, self._truth
        order, counted = self._order, matches.counted
        if images is not None:
            order = order[images[detections.image_of[order]]]
            counted = counted & images[truth.image_of]
        n_classes, n_thresholds = len(truth.classes), matches.hit.shape[1]
        n_cells = np.bincount(truth.labels[counted], minlength=n_classes)
        bounds = np.searchsorted(detections.labels[order], np.arange(n_classes + 1))
        precision = np.full((n_thresholds, len(RECALLS), n_classes), np.nan)
        scores, recall = precision.copy(), np.full((n_thresholds, n_classes), np.nan)
        few = {number: recall.copy() for number in FEW}
        for label in np.flatnonzero(n_cells):
            own = order[bounds[label]:bounds[label + 1]]
            hit, false = matches.hit[own], ~matches.hit[own] & ~matches.disregarded[own]
            precision[:, :, label], scores[:, :, label], recall[:, label] = curves(
                hit, false, detections.scores[own], int(n_cells[label]))
            for number, values in few.items():
                values[:, label] = hit[self._rank[own] < number].sum(0) / n_cells[label]
        return CocoScores(precision, scores, recall, few, n_cells, np.diff(bounds))


def curves(hit: NDArray[np.bool_], false: NDArray[np.bool_], scores: NDArray[np.float64], n_cells: int
           ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Precision at COCO's 101 recalls, of one class.

    Args:
        hit, false: (D, T) by descending score; a detection that is neither is disregarded.
        scores: (D,).
        n_cells: at least 1.

    Returns:
        (T, R) precision, the largest at this recall or a higher one; (T, R) score; (T,) recall.

    Example:
        >>> hit = np.array([[True], [False], [True]])
        >>> precision, _, recall = curves(hit, ~hit, np.array([0.9, 0.8, 0.7]), n_cells=2)
        >>> precision[0, [0, 50, 51, 100]].round(3).tolist(), recall.tolist()
        ([1.0, 1.0, 0.667, 0.667], [1.0])
    """
    shape = (hit.shape[1], len(RECALLS))
    precision, reached = np.zeros(shape), np.zeros(shape)
    if not len(hit):
        return precision, reached, np.zeros(shape[0])
    true_sum = np.cumsum(hit, axis=0).astype(float)
    false_sum = np.cumsum(false, axis=0).astype(float)
    recall = true_sum / n_cells
    raw = true_sum / (false_sum + true_sum + np.spacing(1))
    best = np.maximum.accumulate(raw[::-1], axis=0)[::-1]
    for t in range(shape[0]):
        places = np.searchsorted(recall[:, t], RECALLS, side='left')
        inside = places < len(hit)
        precision[t, inside], reached[t, inside] = best[places[inside], t], scores[places[inside]]
    return precision, reached, recall[-1]
