"""F1 of attributes: pairs of true and predicted values, their counts, and the scores.

Legend: K pairs, P predictions, G ground-truth cells, A attributes, V values of the attribute with most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mmleuk.schema import IGNORE
from mmleuk.structures.matching import UNMATCHED

ABSENT = -3
"""Marks the missing half of a pair: the prediction of a missed cell, the truth of a false detection."""

BinaryScore = Literal['positive', 'macro']


@dataclass(frozen=True)
class AttributeCounts:
    """Hits and errors per attribute and value; the counts of two sets of images add up.

    Args:
        tp, fp, fn: (A, V) int64; zero beyond an attribute's own number of values.
    """

    tp: NDArray[np.int64]
    fp: NDArray[np.int64]
    fn: NDArray[np.int64]

    def __add__(self, other: AttributeCounts) -> AttributeCounts:
        return AttributeCounts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    @property
    def support(self) -> NDArray[np.int64]:
        """(A, V) cells known to have each value."""
        return self.tp + self.fn


def detection_pairs(matches: NDArray, counted: NDArray, truth: NDArray, ignored: NDArray,
                    predicted: NDArray) -> tuple[NDArray, NDArray]:
    """Pairs of values for the score of finding cells with a value.

    A matched detection is paired with its cell. A missed cell is in a pair without a prediction: its known values
    weren't found. A false detection is in a pair without a truth: its values are wrong. False detections outside the
    annotated regions, disregarded detections and ignored cells are left out.

    Args:
        matches: (P,) from :func:`mmleuk.structures.matching.match`.
        counted: (P,) bool; a false detection counts if its centre lies where the annotation is complete.
        truth: (G, A) int64, IGNORE where unknown.
        ignored: (G,) bool.
        predicted: (P, A) int64, IGNORE where the detector predicted no attributes.

    Returns:
        (K, A) true values, and (K, A) predicted ones; ABSENT marks a half that is missing.
    """
    found = matches >= 0
    missed = ~np.asarray(ignored, bool)
    missed[matches[found]] = False
    false = (matches == UNMATCHED) & counted
    return (np.concatenate([truth[matches[found]], np.full_like(predicted[false], ABSENT), truth[missed]]),
            np.concatenate([predicted[found], predicted[false], np.full_like(truth[missed], ABSENT)]))


def nearest_pairs(iou: NDArray, truth: NDArray, predicted: NDArray) -> tuple[NDArray, NDArray]:
    """Pairs as the LLD release scores Tables 5 and 9.

    Only cells with all attributes known take part. Each takes the values of the prediction with the highest IoU,
    however low; several cells may share one prediction. So a missed cell borrows the values of a neighbour, and false
    detections don't count. Use this only to compare with the papers. Without any prediction no value was found.

    Args:
        iou: (P, G), predictions by descending score (of equal IoUs the first counts).
        truth: (G, A) int64.
        predicted: (P, A) int64.

    Returns:
        (K, A) true and (K, A) predicted values.
    """
    known = (truth != IGNORE).all(1)
    if not len(predicted):
        return truth[known], np.full_like(truth[known], ABSENT)
    return truth[known], predicted[iou.argmax(0)[known]]


def count_values(truth: NDArray, predicted: NDArray, cardinalities: Sequence[int]) -> AttributeCounts:
    """Hits and errors, one value against the rest; pairs of unknown truth take no part.

    Args:
        truth, predicted: (K, A) int64 values, IGNORE or ABSENT.
        cardinalities: number of values of each attribute.

    Example:
        >>> truth, predicted = np.array([[1], [1], [0], [IGNORE]]), np.array([[1], [0], [1], [1]])
        >>> counts = count_values(truth, predicted, (2,))
        >>> counts.tp.tolist(), counts.fp.tolist(), counts.fn.tolist()
        ([[0, 1]], [[1, 1]], [[1, 1]])
    """
    values = np.arange(max(cardinalities, default=2))
    own = values < np.asarray(cardinalities).reshape(-1, 1)  # (A, V)
    known = (truth != IGNORE)[..., None]
    is_true, is_predicted = truth[..., None] == values, predicted[..., None] == values  # (K, A, V)
    return AttributeCounts(tp=(is_true & is_predicted & own).sum(0), fp=(~is_true & is_predicted & known & own).sum(0),
                           fn=(is_true & ~is_predicted & own).sum(0))


def attribute_f1(counts: AttributeCounts, cardinalities: Sequence[int],
                 binary: BinaryScore = 'positive') -> NDArray[np.float64]:
    """F1 per attribute.

    Args:
        counts: see :func:`count_values`.
        cardinalities: number of values of each attribute.
        binary: a binary attribute's score is the F1 of value 1 ('positive', LLD), or the mean over both values
            ('macro', WBCAtt). An attribute with more values always gets the mean over those that occur, in truth or
            prediction.

    Returns:
        (A,) in [0, 1]; 0 where nothing was found. NaN (undefined) where no cell's value is known, or where value 1 is
        scored and occurs neither in truth nor in predictions: correct absences alone don't make a score of 0.

    Example:
        >>> absent = count_values(np.zeros((10, 1), int), np.zeros((10, 1), int), (2,))
        >>> attribute_f1(absent, (2,)).tolist(), attribute_f1(absent, (2,), 'macro').tolist()
        ([nan], [1.0])
    """
    errors = counts.fp + counts.fn
    f1 = np.full(counts.tp.shape, np.nan)
    np.divide(2 * counts.tp, 2 * counts.tp + errors, out=f1, where=counts.tp + errors > 0)
    scores = np.full(len(f1), np.nan)
    for index, values in enumerate(cardinalities):
        if counts.support[index].any():
            positive = values == 2 and binary == 'positive'
            scores[index] = f1[index, 1] if positive else np.nanmean(f1[index])
    return scores


def macro_f1(scores: NDArray[np.float64]) -> float:
    """Mean over the attributes whose F1 is defined; NaN where there is none."""
    defined = scores[np.isfinite(scores)]
    return float(defined.mean()) if len(defined) else float('nan')
