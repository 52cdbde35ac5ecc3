"""Agreement of two annotators: agreement rate and Cohen's kappa per attribute, with intervals.

Legend: N images, A attributes, V values of one attribute, T an attribute's (V, V) table of counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # its parts are imported on first use

from mmleuk.evaluation.proportions import wilson_interval
from mmleuk.schema import IGNORE

Interval = tuple[float, float]
_NO_SPREAD = 1e-12  # what rounding leaves of 0


@dataclass(frozen=True)
class Agreement:
    """How far two annotators agree on one attribute, or on all of them.

    Args:
        key: of the attribute; 'all' for the pooled figures.
        n: pairs of values, both known.
        agreed: pairs of equal values.
        rate_interval: of the agreement rate; None if n is 0.
        kappa: Cohen's kappa; None if it isn't defined: no pair, or both annotators gave one and the same value to all.
        kappa_interval: of kappa, cut at -1 and 1; None where kappa is None or its error can't be estimated.
    """

    key: str
    n: int
    agreed: int
    rate_interval: Interval | None
    kappa: float | None = None
    kappa_interval: Interval | None = None

    @property
    def rate(self) -> float | None:
        """Share of equal values; None if n is 0."""
        return self.agreed / self.n if self.n else None


def count_pairs(first: np.ndarray, second: np.ndarray, n_values: int) -> np.ndarray:
    """(V, V) counts of value pairs; pairs with an unknown value are left out.

    Args:
        first, second: (N,) int values, IGNORE where unknown.
        n_values: V.

    >>> count_pairs(np.array([0, 1, -1, 1]), np.array([0, 0, 1, 1]), 2).tolist()
    [[1, 0], [1, 1]]
    """
    known = (first != IGNORE) & (second != IGNORE)
    table = np.zeros((n_values, n_values), int)
    np.add.at(table, (first[known], second[known]), 1)
    return table


def cohen_kappa(table: np.ndarray) -> float | None:
    """Agreement beyond chance, (p_o - p_e) / (1 - p_e), of a (V, V) table of counts; None if it isn't defined.

    >>> round(cohen_kappa(np.array([[20, 5], [10, 15]])), 3)
    0.4
    """
    shares = _shares(table)
    if shares is None:
        return None
    expected = float(shares.sum(1) @ shares.sum(0))
    return None if math.isclose(expected, 1) else (float(np.trace(shares)) - expected) / (1 - expected)


def kappa_interval(table: np.ndarray, confidence: float = 0.95) -> Interval | None:
    """Large-sample interval of kappa; None where kappa isn't defined, or the formula gives it no error.

    That is so where the annotators never disagree, always disagree, or one of them gave the same value to all: two
    cells would make kappa certain. The interval of the agreement rate then says what n allows.

    Source: Fleiss, Cohen, Everitt, Psychological Bulletin 72:323 (1969), Eq. 13.
    """
    kappa, shares = cohen_kappa(table), _shares(table)
    if kappa is None or shares is None:
        return None
    rows, columns = shares.sum(1), shares.sum(0)
    expected = float(rows @ columns)
    # marginals[i, j]: how often the first says j, plus how often the second says i
    marginals = columns[:, None] + rows[None, :]
    on_diagonal = np.diag(shares) * (1 - np.diag(marginals) * (1 - kappa)) ** 2
    off_diagonal = (shares * marginals ** 2).sum() - (np.diag(shares) * np.diag(marginals) ** 2).sum()
    spread = on_diagonal.sum() + (1 - kappa) ** 2 * off_diagonal - (kappa - expected * (1 - kappa)) ** 2
    if spread < _NO_SPREAD:
        return None
    error = math.sqrt(spread / table.sum()) / (1 - expected)
    width = float(scipy.stats.norm.ppf(0.5 + confidence / 2)) * error
    return max(kappa - width, -1.0), min(kappa + width, 1.0)


def _shares(table: np.ndarray) -> np.ndarray | None:
    total = table.sum()
    return table / total if total else None


def agreement_of(key: str, first: np.ndarray, second: np.ndarray, n_values: int) -> Agreement:
    """Agreement on one attribute; arguments as of :func:`count_pairs`."""
    table = count_pairs(first, second, n_values)
    n, agreed = int(table.sum()), int(np.trace(table))
    return Agreement(key, n, agreed, wilson_interval(agreed, n), cohen_kappa(table), kappa_interval(table))


def pooled_agreement(first: np.ndarray, second: np.ndarray, *, samples: int = 2000, seed: int = 0) -> Agreement:
    """Agreement on all attributes together.

    Args:
        first, second: (N, A) int values, IGNORE where unknown.
        samples: of the bootstrap over images with a pair. The values of one image depend on each other, so Wilson's
            interval over all values would be too narrow.
        seed: of the bootstrap.
    """
    known = (first != IGNORE) & (second != IGNORE)
    paired = known.any(1)  # the others say nothing of the rate: a sample of them alone would have none
    n_of_image, agreed_of_image = known.sum(1)[paired], (known & (first == second)).sum(1)[paired]
    n, agreed = int(n_of_image.sum()), int(agreed_of_image.sum())
    if not n:
        return Agreement('all', 0, 0, None)
    generator = np.random.default_rng(seed)
    drawn = generator.integers(0, len(n_of_image), (samples, len(n_of_image)))
    rates = agreed_of_image[drawn].sum(1) / n_of_image[drawn].sum(1)
    low, high = np.quantile(rates, [0.025, 0.975])
    return Agreement('all', n, agreed, (float(low), float(high)))


def agreements(keys: Sequence[str], cardinalities: Sequence[int], first: np.ndarray,
               second: np.ndarray) -> list[Agreement]:
    """Agreement per attribute, then on all of them.

    Args:
        keys, cardinalities: of the A attributes.
        first, second: (N, A) int values, IGNORE where unknown.
    """
    each = [agreement_of(key, one, other, n_values)
            for key, n_values, one, other in zip(keys, cardinalities, first.T, second.T)]
    return [*each, pooled_agreement(first, second)]
