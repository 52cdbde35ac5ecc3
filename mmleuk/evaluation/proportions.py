"""Intervals of proportions and tests on many of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy  # its parts are imported on first use


def wilson_interval(hits: int, n: int, confidence: float = 0.95) -> tuple[float, float] | None:
    """Wilson's score interval of ``hits`` of ``n``; None if n is 0.

    >>> [round(limit, 3) for limit in wilson_interval(2, 10)]
    [0.057, 0.51]
    """
    if not n:
        return None
    interval = scipy.stats.binomtest(hits, n).proportion_ci(confidence, method='wilson')
    return float(interval.low), float(interval.high)


def exact_p(hits: int, n: int, other_hits: int, other_n: int) -> float:
    """Two-sided p of Fisher's exact test that two groups have the same rate; 1 if a group is empty.

    >>> round(exact_p(8, 10, 1, 6), 4)
    0.035
    """
    if not n or not other_n:
        return 1.0
    return float(scipy.stats.fisher_exact([[hits, n - hits], [other_hits, other_n - other_hits]]).pvalue)


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values: findings with one of at most q have an expected share of false ones of at most q.

    >>> [round(p, 3) for p in benjamini_hochberg([0.01, 0.04, 0.03, 0.5])]
    [0.04, 0.053, 0.053, 0.5]
    """
    if not len(p_values):
        return []
    return [float(p) for p in scipy.stats.false_discovery_control(np.asarray(p_values, float))]
