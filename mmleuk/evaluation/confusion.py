"""The confusion matrix with background: what every cell was taken for, and what every detection lies on.

Legend: D detections, G cells, K classes.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmleuk.evaluation.detections import Detections
from mmleuk.evaluation.matching import UNMATCHED
from mmleuk.evaluation.overlaps import Pairs, match_greedily
from mmleuk.evaluation.truth import GroundTruth


@dataclass(frozen=True)
class Confusion:
    """Counts of cells by true and predicted class.

    Args:
        counts: (K + 1, K + 1) int64. Row: true class, last the background, where nothing is. Column: predicted class,
            last the cells that nobody found. The last corner is 0.
        classes: K names.
        min_score: faintest detection that takes part.
        min_iou: smallest IoU of a match.
    """

    counts: NDArray[np.int64]
    classes: tuple[str, ...]
    min_score: float
    min_iou: float

    @property
    def row_names(self) -> tuple[str, ...]:
        """K + 1 names: the classes, and the background under a name that no class has."""
        return *self.classes, free_name('background', self.classes)

    @property
    def column_names(self) -> tuple[str, ...]:
        """K + 1 names: the classes, and the cells that nobody found under a name that no class has."""
        return *self.classes, free_name('missed', self.classes)

    @property
    def shares(self) -> NDArray[np.float64]:
        """(K + 1, K + 1) each row divided by its sum; NaN where a row is empty."""
        sums = self.counts.sum(1, keepdims=True)
        return np.divide(self.counts, sums, out=np.full(self.counts.shape, np.nan), where=sums > 0)


def free_name(name: str, taken: Collection[str]) -> str:
    """The name, in brackets where a class is called so.

    >>> free_name('missed', ('WBC',)), free_name('missed', ('missed', 'WBC'))
    ('missed', '(missed)')
    """
    while name in taken:
        name = f'({name})'
    return name


def confusion_matrix(detections: Detections, truth: GroundTruth, pairs: Pairs, min_score: float,
                     min_iou: float) -> Confusion:
    """Match detections to cells of whatever class, the surest first, each to the free cell with the largest IoU.

    Crowds are no cells, and a detection on a crowd that found no cell is left out.

    Args:
        detections: all of them.
        truth: the cells.
        pairs: all pairs with an IoU of at least ``min_iou``.
        min_score: fainter detections take no part.
        min_iou: smallest IoU of a match.
    """
    sure = detections.scores >= min_score
    wanted = sure[pairs.detections] & (pairs.iou >= min_iou)
    cells = match_greedily(pairs.select(wanted), detections.image_of, len(truth.labels), np.array([min_iou]),
                           truth.crowd, truth.crowd)[:, 0]
    matched = cells != UNMATCHED
    hit = matched & ~np.r_[truth.crowd, False][cells]
    false = sure & ~matched
    missed = ~truth.crowd
    missed[cells[hit]] = False
    nothing = len(truth.classes)
    true = np.concatenate([truth.labels[cells[hit]], np.full(false.sum(), nothing), truth.labels[missed]])
    predicted = np.concatenate([detections.labels[hit], detections.labels[false], np.full(missed.sum(), nothing)])
    counts = np.bincount(true * (nothing + 1) + predicted, minlength=(nothing + 1) ** 2)
    return Confusion(counts.reshape(nothing + 1, nothing + 1), truth.classes, min_score, min_iou)
