"""IoU and F1 of cell parts from counts of pixels; plain functions.

Legend: K parts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def count_pixels(truth: NDArray, predicted: NDArray, num_parts: int) -> NDArray[np.int64]:
    """Confusion matrix (K, K): pixels of part ``row`` that are predicted as part ``column``.

    Args:
        truth: (H, W) integers; values outside 0 to K - 1 are unknown and don't count.
        predicted: (H, W) integers, 0 to K - 1.
        num_parts: K.

    >>> count_pixels(np.array([[0, 1, 255]]), np.array([[0, 0, 1]]), 2).tolist()
    [[1, 0], [1, 0]]
    """
    known = (truth >= 0) & (truth < num_parts)
    pairs = truth[known].astype(np.int64) * num_parts + predicted[known].astype(np.int64)
    return np.bincount(pairs, minlength=num_parts ** 2).reshape(num_parts, num_parts)


@dataclass(frozen=True)
class PartScores:
    """Scores over all pixels of a set of images, (K,) each, from 0 to 1; NaN for a part without pixels.

    ``pixels`` counts the true ones.
    """

    iou: NDArray[np.float64]
    f1: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    pixels: NDArray[np.int64]


def part_scores(counts: NDArray[np.integer]) -> PartScores:
    """Scores of a confusion matrix (K, K) of :func:`count_pixels`.

    Precision without a predicted pixel and recall without a true one are NaN; IoU and F1 are NaN only without both.

    Source: WBCAtt+ 4.1, Tables 4 and 5. IoU is summed over all images before the division, as MMSegmentation does.

    >>> part_scores(np.array([[2, 1], [1, 4]])).iou.round(3).tolist()
    [0.5, 0.667]
    """
    hits, true, predicted = np.diag(counts), counts.sum(1), counts.sum(0)
    return PartScores(iou=_ratio(hits, true + predicted - hits), f1=_ratio(2 * hits, true + predicted),
                      precision=_ratio(hits, predicted), recall=_ratio(hits, true), pixels=true)


def _ratio(part: NDArray, whole: NDArray) -> NDArray[np.float64]:
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)
