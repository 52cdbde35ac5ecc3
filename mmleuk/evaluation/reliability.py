"""Do probabilities mean frequencies? Reliability by bins of confidence, and the expected calibration error (ECE).

Legend: N predictions, M bins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmleuk.schema import IGNORE

BINS = 15


@dataclass(frozen=True)
class Reliability:
    """Predictions by confidence, in M bins of equal width over [0, 1].

    Args:
        count: (M,) predictions per bin.
        confidence: (M,) their mean probability; NaN in an empty bin.
        accuracy: (M,) share of right ones; NaN in an empty bin.
    """

    count: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    @property
    def ece(self) -> float:
        """Mean of |accuracy - confidence| over predictions, 0 to 1; NaN without predictions.

        Source: Guo et al., On Calibration of Modern Neural Networks (ICML 2017), Eq. 3, with its 15 bins.
        """
        if not self.count.sum():
            return float('nan')
        filled = self.count > 0
        gaps = np.abs(self.accuracy[filled] - self.confidence[filled])
        return float((self.count[filled] * gaps).sum() / self.count.sum())


def reliability(confidence: NDArray[np.floating], right: NDArray[np.bool_], bins: int = BINS) -> Reliability:
    """Bin predictions; a confidence on a limit belongs to the lower bin.

    Args:
        confidence: (N,) probability of the predicted value, in [0, 1].
        right: (N,) whether it is the true one.
        bins: M.

    Example:
        >>> found = reliability(np.array([0.9, 0.9, 0.6, 0.5]), np.array([True, True, False, True]), bins=2)
        >>> found.count.tolist(), found.accuracy.round(3).tolist(), round(found.ece, 3)
        ([1, 3], [1.0, 0.667], 0.225)
    """
    index = np.clip(np.ceil(np.asarray(confidence, np.float64) * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(index, minlength=bins)
    with np.errstate(invalid='ignore'):
        means = [np.bincount(index, values, minlength=bins) / count for values in (confidence, right)]
    return Reliability(count, means[0], means[1])


def attribute_reliability(truth: NDArray[np.integer], probs: NDArray[np.floating], bins: int = BINS) -> Reliability:
    """Reliability of one or several attributes together; unknown values take no part.

    Args:
        truth: (N, A) values, IGNORE where unknown.
        probs: (N, A, V) probabilities of the values.
    """
    known = truth != IGNORE
    right = probs.argmax(2) == truth
    return reliability(probs.max(2)[known], right[known], bins)
