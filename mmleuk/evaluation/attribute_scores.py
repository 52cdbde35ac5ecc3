"""Accuracy, precision, recall and F1 of attributes, per attribute and value, and their means as in WBCAtt+.

Legend: N cells, A attributes, V values of the attribute with most, b resamples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmleuk.evaluation.attribute_f1 import AttributeCounts
from mmleuk.schema import IGNORE

MEASURES = ('accuracy', 'precision', 'recall', 'f1')


@dataclass(frozen=True)
class AttributeScores:
    """Scores of one set of cells; NaN where undefined.

    Precision, recall and F1 of an attribute are means over the values that occur, in truth or in predictions: a value
    that is in the truth and never predicted has a precision of 0. So they equal scikit-learn's with ``average='macro'``
    and ``zero_division=0``.

    Args:
        support: (A, V) cells known to have each value.
        value_precision, value_recall, value_f1: (A, V).
        accuracy, precision, recall, f1: (A,); NaN where no cell's value is known.
    """

    support: NDArray[np.int64]
    value_precision: NDArray[np.float64]
    value_recall: NDArray[np.float64]
    value_f1: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]

    def means(self, chosen: Sequence[int]) -> dict[str, float]:
        """Mean of each of :data:`MEASURES` over the chosen attributes with a score; NaN where there is none.

        Source: WBCAtt+ Tables 6 and 7: macro scores per attribute, then their mean over the 11 attributes; the cell
        type is none of them.
        """
        return {measure: _mean(getattr(self, measure)[list(chosen)]) for measure in MEASURES}


def attribute_scores(counts: AttributeCounts) -> AttributeScores:
    """Scores from the counts of :func:`mmleuk.evaluation.attribute_f1.count_values`.

    Example:
        >>> from mmleuk.evaluation.attribute_f1 import count_values
        >>> truth, predicted = np.array([[0], [0], [1], [1]]), np.array([[0], [1], [1], [1]])
        >>> scores = attribute_scores(count_values(truth, predicted, (2,)))
        >>> scores.accuracy.tolist(), scores.value_recall.tolist(), scores.f1.round(4).tolist()
        ([0.75], [[0.5, 1.0]], [0.7333])
    """
    tp, fp, fn = counts.tp, counts.fp, counts.fn
    occurs = tp + fp + fn > 0
    precision, recall, f1 = (_where(occurs, _ratio(part, whole)) for part, whole in (
        (tp, tp + fp), (tp, tp + fn), (2 * tp, 2 * tp + fp + fn)))
    known = counts.support.sum(1)
    accuracy = _where(known > 0, _ratio(tp.sum(1), known))
    macro = [_where(known > 0, _row_means(values)) for values in (precision, recall, f1)]
    return AttributeScores(counts.support, precision, recall, f1, accuracy, *macro)


def weighted_macro_f1(truth: NDArray[np.integer], predicted: NDArray[np.integer], cardinalities: Sequence[int],
                      weights: NDArray[np.integer]) -> NDArray[np.float64]:
    """Mean F1 over attributes for several weightings of the cells, as a bootstrap needs.

    Args:
        truth, predicted: (N, A) values; unknown truth takes no part.
        cardinalities: number of values of each attribute.
        weights: (b, N), how often each cell counts.

    Returns:
        (b,) what :meth:`AttributeScores.means` gives for the cells repeated so often.
    """
    per_attribute = []
    for index, values in enumerate(cardinalities):
        known = truth[:, index] != IGNORE
        table = np.eye(values, dtype=np.int64)
        true, found = table[truth[known, index]], table[predicted[known, index]]
        counts = weights[:, known]
        hits, support, calls = counts @ (true * found), counts @ true, counts @ found
        f1 = _where(support + calls > 0, _ratio(2 * hits, support + calls))
        per_attribute.append(_where(support.sum(1) > 0, _row_means(f1)))
    return _row_means(np.stack(per_attribute, 1)) if per_attribute else np.full(len(weights), np.nan)


def _ratio(part: NDArray, whole: NDArray) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)


def _where(defined: NDArray[np.bool_] | np.bool_, values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(defined, values, np.nan)


def _row_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of rows over what isn't NaN; NaN where nothing is."""
    defined = np.isfinite(values)
    return _where(defined.any(1), _ratio(np.where(defined, values, 0).sum(1), defined.sum(1)))


def _mean(values: NDArray[np.float64]) -> float:
    return float(_row_means(values[None])[0])
