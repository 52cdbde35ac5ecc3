"""COCO's average precision and recall: match once for all images, then let pycocotools sum up any set of them.

pycocotools matches again for every set of images and has no annotated regions, so the matching is done here. Its sums
(``COCOeval.accumulate``) are used as they are. Where it returns -1 (no ground truth), this module returns NaN.

Legend: D detections, G cells, I images, K classes, T thresholds of IoU, R recalls.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from pycocotools.cocoeval import COCOeval, Params

from mmleuk.evaluation.detections import Detections
from mmleuk.structures.ground_truth import GroundTruth
from mmleuk.structures.matching import UNMATCHED, Pairs, match_pairs, rank_in_group

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
    """Matches of all detections in one size range.

    Args:
        cells: (D, T) the matched cell, or UNMATCHED.
        hit: (D, T) whether the detection found a cell.
        disregarded: (D, T) whether it is left out: it matches an ignored cell, or it matches none and has another size
            or lies outside the annotated regions.
        counted: (G,) whether the cell counts: it isn't ignored and has this size.
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
        n_cells, n_detections: (K,) number of those that count.
        recall_of_few: recall of the 1 and 10 highest-scoring detections per image and class, if requested.
    """

    precision: NDArray[np.float64]
    scores: NDArray[np.float64]
    recall: NDArray[np.float64]
    n_cells: NDArray[np.int64]
    n_detections: NDArray[np.int64]
    recall_of_few: Mapping[int, NDArray[np.float64]] = field(default_factory=dict)

    def ap(self, iou: float | None = None, label: int | None = None) -> float:
        """Average precision: at one IoU or over 0.5 to 0.95, of one class or the mean; NaN without ground truth."""
        part = self.precision if iou is None else self.precision[np.isclose(THRESHOLDS, iou)]
        return known_mean(part if label is None else part[:, :, label])

    def ar(self, label: int | None = None) -> float:
        """Average recall over IoU 0.5 to 0.95 of all detections; NaN without ground truth."""
        return known_mean(self.recall if label is None else self.recall[:, label])


def known_mean(values: NDArray[np.float64]) -> float:
    """Mean of the values that aren't NaN, summed in pycocotools' order; NaN if there are none."""
    known = values[~np.isnan(values)]
    return float(np.mean(known)) if known.size else float('nan')


def keep_highest(detections: Detections, per_class: int, n_classes: int) -> Detections:
    """At most ``per_class`` detections of each class in each image, those with the highest scores."""
    return detections.select(rank_in_group(detections.image_of * n_classes + detections.labels) < per_class)


def overlapping_pairs(detections: Detections, truth: GroundTruth, min_iou: float) -> Pairs:
    """All pairs of one image with an IoU of at least ``min_iou`` (above 0), whatever their classes."""
    bounds = np.arange(len(truth.images) + 1)
    first_detection = np.searchsorted(detections.image_of, bounds)
    first_cell = np.searchsorted(truth.image_of, bounds)
    crowd = truth.ignored.astype(np.uint8)
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


def match_classes(detections: Detections, truth: GroundTruth, pairs: Pairs, thresholds: NDArray[np.float64],
                  size: str = 'all') -> Matches:
    """Match detections to cells of their class.

    Args:
        detections: all of them.
        truth: the cells.
        pairs: all pairs with an IoU of at least the smallest threshold.
        thresholds: (T,).
        size: one of SIZES.
    """
    low, high = SIZES[size]
    counted = ~truth.ignored & (truth.areas >= low) & (truth.areas <= high)
    own = detections.labels[pairs.detections] == truth.labels[pairs.cells]
    cells = match_pairs(pairs.select(own), detections.image_of * len(truth.classes) + detections.labels, thresholds,
                        ~counted, truth.ignored)
    areas = detections.boxes_xywh[:, 2] * detections.boxes_xywh[:, 3]
    unasked = (areas < low) | (areas > high) | ~truth.is_known_at(detections.image_of, detections.boxes_xywh)
    matched = cells != UNMATCHED
    hit = matched & np.r_[counted, False][cells]  # UNMATCHED is -1, the added last entry
    return Matches(cells, hit, np.where(matched, ~hit, unasked[:, None]), counted)


def score(matches: Matches, detections: Detections, truth: GroundTruth, images: NDArray[np.bool_] | None = None,
          few: Sequence[int] = ()) -> CocoScores:
    """Scores over all images or those of an (I,) mask, and recall of the ``few`` highest-scoring detections."""
    n_classes, counted = len(truth.classes), matches.counted
    chosen: NDArray = np.ones(len(detections), bool)
    if images is not None:
        chosen, counted = images[detections.image_of], counted & images[truth.image_of]
    n_cells = np.bincount(truth.labels[counted], minlength=n_classes)
    ranks = rank_in_group(detections.image_of * n_classes + detections.labels) if few else chosen
    parts = [np.flatnonzero(chosen & (ranks < number)) if number else np.flatnonzero(chosen) for number in (0, *few)]
    sums = accumulate(detections.labels, detections.scores, matches.hit, matches.disregarded, n_cells, parts)
    precision, scores = (sums[name][..., 0, 0] for name in ('precision', 'scores'))
    return CocoScores(precision, scores, sums['recall'][..., 0, 0], n_cells,
                      np.bincount(detections.labels[chosen], minlength=n_classes),
                      {number: sums['recall'][..., part, 0] for part, number in enumerate(few, start=1)})


def accumulate(labels: NDArray, scores: NDArray, hit: NDArray, disregarded: NDArray, n_cells: NDArray,
               parts: Sequence[NDArray]) -> dict[str, NDArray]:
    """pycocotools' sums over given matches.

    Args:
        labels, scores: (D,) of the detections, in the order that decides between equal scores.
        hit, disregarded: (D, T).
        n_cells: (K,) number of cells to find.
        parts: P sets of indices of detections, each scored on its own.

    Returns:
        As ``COCOeval.eval``: precision and scores (T, R, K, P, 1) and recall (T, K, P, 1), NaN instead of -1.

    Example:
        >>> hit = np.array([[True], [False], [True]])
        >>> sums = accumulate(np.zeros(3, int), np.array([0.9, 0.8, 0.7]), hit, hit & ~hit, [2], [np.arange(3)])
        >>> sums['precision'][0, [0, 50, 51, 100], 0, 0, 0].round(3).tolist(), sums['recall'].item()
        ([1.0, 1.0, 0.667, 0.667], 1.0)
    """
    sums = COCOeval(iouType='bbox')
    # pycocotools takes the sets of detections for size ranges, and all images for one.
    sums.params.iouThrs, sums.params.imgIds, sums.params.catIds = np.arange(hit.shape[1]), [0], range(len(n_cells))
    sums.params.areaRng, sums.params.maxDets = [(part, part) for part in range(len(parts))], [max(len(labels), 1)]
    sums._paramsEval = sums.params
    sums.evalImgs = [
        dict(dtScores=scores[own], dtMatches=hit[own].T, dtIgnore=disregarded[own].T, gtIgnore=np.zeros(number))
        for label, number in enumerate(n_cells) for part in parts for own in [part[labels[part] == label]]]
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
        sums.accumulate()
    found = {name: sums.eval[name] for name in ('precision', 'recall', 'scores')}
    return {name: np.where(values == -1, np.nan, values) for name, values in found.items()}
