"""Intervals of shares: what counting n cells leaves open.

They say how far a share of these cells may lie from the share of all cells of the film, if each counted cell were drawn
at random and named rightly. Errors of the model come on top.
"""

from __future__ import annotations

from collections.abc import Sequence

import scipy  # its parts are imported on first use

from mmleuk.evaluation.proportions import wilson_interval

LEVEL = 0.95
FEW, VERY_FEW = 100, 30
"""Leukocytes below which a differential gets a warning, and a strong one."""


def share_interval(count: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's score interval of a share, 0 to 1; everything from 0 to 1 where nothing was counted.

    Source: Wilson, Journal of the American Statistical Association 22 (1927).

    >>> [round(bound, 4) for bound in share_interval(5, 10)]
    [0.2366, 0.7634]
    """
    return wilson_interval(count, n, level) or (0.0, 1.0)


def joint_intervals(counts: Sequence[int], level: float = LEVEL) -> list[tuple[float, float]]:
    """Intervals of several shares of one whole that hold all at once with ``level``: for shares that are compared.

    Wilson's interval at the level that Bonferroni's inequality asks for, which is Goodman's interval. Near 0 and 1 it
    holds the truth too seldom, so for one to three cells, and for all but one to three, the bound on that side is
    Poisson's.

    Source: Goodman, Technometrics 7 (1965); Brown, Cai and DasGupta, Statistical Science 16 (2001), 4.1.1.

    >>> [round(bound, 3) for bound in joint_intervals([5, 5])[0]]
    [0.211, 0.789]
    """
    n, each = sum(counts), (1 - level) / max(len(counts), 1)
    edge = 3 if n > 50 else 2
    bounds = []
    for count in counts:
        low, high = share_interval(count, n, 1 - each)
        low = _poisson(count, each) / n if 1 <= count <= edge else low
        bounds.append((low, 1 - _poisson(n - count, each) / n if 1 <= n - count <= edge else high))
    return bounds


def _poisson(count: int, error: float) -> float:
    """The mean of a Poisson distribution that reaches ``count`` or more with this probability."""
    return float(scipy.stats.chi2.ppf(error, 2 * count)) / 2


def widest_error(n: int, level: float = LEVEL) -> float:
    """By how much a share of one half may be off, 0 to 0.5: the least certain one.

    >>> [round(widest_error(n), 2) for n in (10, 30, 100, 200)]
    [0.26, 0.17, 0.1, 0.07]
    """
    low, high = share_interval(n // 2, n, level)
    return (high - low) / 2
