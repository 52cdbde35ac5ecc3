"""95% intervals: of a mean over trainings (Student's t), and of scores over images (bootstrap).

Legend: N rows (one per cell), I images, B resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import scipy  # its parts are imported on first use
from numpy.typing import NDArray

CONFIDENCE = 0.95
RESAMPLES = 1000
_AT_ONCE = 4_000_000  # weights in memory


def t_half_width(values: Sequence[float], confidence: float = CONFIDENCE) -> float | None:
    """Half the width of the t interval of the mean of one value per training; None for fewer than two.

    Source: WBCAtt+ B.1 (three seeds, 95%).

    >>> round(t_half_width([0.80, 0.82, 0.84]), 4)  # 4.303 * 0.02 / sqrt(3)
    0.0497
    """
    if len(values) < 2:
        return None
    quantile = float(scipy.stats.t.ppf(0.5 + confidence / 2, len(values) - 1))
    return quantile * float(np.std(values, ddof=1)) / len(values) ** 0.5


def bootstrap_interval(score: Callable[[NDArray], NDArray], image_of: NDArray[np.integer], *,
                       confidence: float = CONFIDENCE, resamples: int = RESAMPLES,
                       seed: int = 0) -> tuple[float, float]:
    """Percentile interval of a score over resampled images; (NaN, NaN) without images.

    All cells of an image are drawn together, since they depend on each other.

    Args:
        score: weights (b, N), how often each row counts, -> (b,) scores; undefined ones may be NaN and are left out.
        image_of: (N,) index of each row's image.
        confidence, resamples: of the interval.
        seed: of the draws; equal seeds give equal intervals.
    """
    scores = np.concatenate([score(weights) for weights in _resampled(image_of, resamples, seed)] or [np.zeros(0)])
    defined = scores[np.isfinite(scores)]
    if not len(defined):
        return float('nan'), float('nan')
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _resampled(image_of: NDArray[np.integer], resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Parts of the (B, N) weights."""
    images, rows = np.unique(image_of, return_inverse=True)
    if not len(images):
        return
    generator = np.random.default_rng(seed)
    part = max(1, _AT_ONCE // len(rows))
    for start in range(0, resamples, part):
        draws = generator.multinomial(len(images), np.full(len(images), 1 / len(images)),
                                      size=min(part, resamples - start))
        yield draws[:, rows]
