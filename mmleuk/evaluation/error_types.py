"""Errors by type with their costs, the confusion matrix, and the worst images.

The types are TIDE's six (Bolya et al., ECCV 2020, section 2), written from the paper. A false detection gets the first
type that fits. ``own`` is its largest IoU with a cell of its class, ``other`` that with a cell of another class.
Ignored cells don't count.

1. localisation: ``background_iou <= own < min_iou``: right class, box not good enough;
2. class: ``other >= min_iou``: good box, wrong class;
3. duplicate: ``own >= min_iou``, but a detection with a higher score has found that cell;
4. background: both below ``background_iou``: no cell is there;
5. both: the rest, ``background_iou <= other < min_iou``: wrong class, and box not good enough.

A cell that no detection found is missed, unless a class or localisation error lies on it: without this error the cell
would be found.

Legend: D detections, G cells, I images, K classes, P pairs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmleuk.evaluation.coco_scores import Matches, accumulate
from mmleuk.evaluation.detections import Detections
from mmleuk.structures.ground_truth import GroundTruth
from mmleuk.structures.matching import UNMATCHED, Pairs, match_pairs

FALSE_TYPES = ('class', 'localisation', 'both', 'duplicate', 'background')
TYPES = (*FALSE_TYPES, 'missed')
CORRECT, DISREGARDED, TOO_FAINT = -1, -2, -3
"""Detections without a type: one that found a cell, one that is left out (on an ignored cell or outside the regions),
and one with a score that is too low."""
BACKGROUND_IOU = 0.1


@dataclass(frozen=True)
class Errors:
    """The type of every error among detections of at least ``min_score``.

    Args:
        types: (D,) int64 index in FALSE_TYPES, or CORRECT, DISREGARDED or TOO_FAINT.
        targets: (D,) int64 the cell that a class or localisation error lies on; UNMATCHED for the others.
        missed: (G,) bool.
        min_score, min_iou: see above.
    """

    types: NDArray[np.int64]
    targets: NDArray[np.int64]
    missed: NDArray[np.bool_]
    min_score: float
    min_iou: float

    def counts(self) -> dict[str, int]:
        """Number of errors by type."""
        numbers = {name: int((self.types == number).sum()) for number, name in enumerate(FALSE_TYPES)}
        return numbers | dict(missed=int(self.missed.sum()))


def find_errors(detections: Detections, truth: GroundTruth, pairs: Pairs, matches: Matches, min_score: float,
                min_iou: float) -> Errors:
    """Sort errors into types.

    Args:
        detections: all of them.
        truth: the cells.
        pairs: all pairs with an IoU of at least BACKGROUND_IOU.
        matches: :func:`mmleuk.evaluation.coco_scores.match_classes` at ``min_iou`` alone.
        min_score: detections with a lower score take no part.
        min_iou: smallest IoU of a match.
    """
    hit, confident = matches.hit[:, 0], detections.scores >= min_score
    real = pairs.select(~truth.ignored[pairs.cells])
    same = detections.labels[real.detections] == truth.labels[real.cells]
    own, own_cell = _nearest(real.select(same), len(detections))
    other, other_cell = _nearest(real.select(~same), len(detections))
    type_of = {name: number for number, name in enumerate(FALSE_TYPES)}
    types = np.select(
        [hit, matches.disregarded[:, 0], (own >= BACKGROUND_IOU) & (own < min_iou), other >= min_iou, own >= min_iou,
         np.maximum(own, other) < BACKGROUND_IOU],
        [CORRECT, DISREGARDED, type_of['localisation'], type_of['class'], type_of['duplicate'], type_of['background']],
        default=type_of['both'])
    types[~confident] = TOO_FAINT
    targets = np.where(types == type_of['localisation'], own_cell,
                       np.where(types == type_of['class'], other_cell, UNMATCHED))
    missed: NDArray = matches.counted.copy()
    missed[matches.cells[hit & confident, 0]] = False
    missed[targets[targets != UNMATCHED]] = False
    return Errors(types, targets, missed, min_score, min_iou)


def _nearest(pairs: Pairs, n_detections: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(D,) the largest IoU of each detection, or 0, and (D,) the cell with this IoU, of equals the first."""
    iou, cells = np.zeros(n_detections), np.full(n_detections, UNMATCHED, np.int64)
    order = np.lexsort((pairs.cells, -pairs.iou, pairs.detections))
    rows, first = np.unique(pairs.detections[order], return_index=True)
    iou[rows], cells[rows] = pairs.iou[order][first], pairs.cells[order][first]
    return iou, cells


def costs(errors: Errors, detections: Detections, truth: GroundTruth, matches: Matches) -> Mapping[str, float]:
    """For each type: how much the mean AP at ``min_iou`` rises if all errors of this type are fixed.

    To fix a class error, it gets the class of its cell; to fix a localisation error, it gets the box. If no detection
    found this cell, the highest-scoring of its errors becomes correct, and the others are removed. False detections of
    the other types are removed. Missed cells no longer count. Pass ``errors`` with a ``min_score`` of 0: AP counts
    detections of all scores.

    Returns:
        Gain by type in [-1, 1]; NaN where there is no ground truth.
    """
    n_cells = np.bincount(truth.labels[matches.counted], minlength=len(truth.classes))
    hit, false = matches.hit[:, 0], errors.types >= 0
    found = np.zeros(len(truth.labels), bool)
    found[matches.cells[hit, 0]] = True

    def mean_ap(labels: NDArray, hit: NDArray, false: NDArray, left: NDArray) -> float:
        """Mean over the classes with cells; AP is 0 for a class with no cell left."""
        sums = accumulate(labels, detections.scores, hit[:, None], ~(hit | false)[:, None], left, [np.arange(len(hit))])
        values = np.nan_to_num(sums['precision'][0, :, :, 0, 0].mean(0))[n_cells > 0]
        return float(np.mean(values)) if len(values) else float('nan')

    base = mean_ap(detections.labels, hit, false, n_cells)
    gains = {}
    for number, name in enumerate(FALSE_TYPES):
        of_type = errors.types == number
        fixed: NDArray = np.zeros(len(hit), bool)
        if name in ('class', 'localisation'):
            rows = np.flatnonzero(of_type)
            rows = rows[~found[errors.targets[rows]]]
            rows = rows[np.argsort(-detections.scores[rows], kind='stable')]
            fixed[rows[np.unique(errors.targets[rows], return_index=True)[1]]] = True
        # UNMATCHED is -1, the added last entry. No fixed detection has it.
        labels = np.where(fixed, np.r_[truth.labels, 0][errors.targets], detections.labels)
        gains[name] = mean_ap(labels, hit | fixed, false & ~of_type, n_cells) - base
    left = n_cells - np.bincount(truth.labels[errors.missed], minlength=len(truth.classes))
    gains['missed'] = mean_ap(detections.labels, hit, false, left) - base
    return gains


@dataclass(frozen=True)
class Confusion:
    """Counts of cells by true and predicted class.

    Args:
        counts: (K + 1, K + 1) int64. Rows are the true classes, then the background. Columns are the predicted classes,
            then the missed cells. The last entry of both is 0.
        classes: K names.
        min_score: smallest score of a detection that takes part.
        min_iou: smallest IoU of a match.
    """

    counts: NDArray[np.int64]
    classes: tuple[str, ...]
    min_score: float
    min_iou: float

    @property
    def row_names(self) -> tuple[str, ...]:
        """K + 1 names: the classes, and a name for the background that no class has."""
        return *self.classes, free_name('background', self.classes)

    @property
    def column_names(self) -> tuple[str, ...]:
        """K + 1 names: the classes, and a name for missed cells that no class has."""
        return *self.classes, free_name('missed', self.classes)

    @property
    def shares(self) -> NDArray[np.float64]:
        """(K + 1, K + 1) each row divided by its sum; NaN where the sum is 0."""
        sums = self.counts.sum(1, keepdims=True)
        return np.divide(self.counts, sums, out=np.full(self.counts.shape, np.nan), where=sums > 0)


def free_name(name: str, taken: Collection[str]) -> str:
    """The name, in brackets if a class has this name.

    >>> free_name('missed', ('WBC',)), free_name('missed', ('missed', 'WBC'))
    ('missed', '(missed)')
    """
    while name in taken:
        name = f'({name})'
    return name


def confusion_matrix(detections: Detections, truth: GroundTruth, pairs: Pairs, min_score: float,
                     min_iou: float) -> Confusion:
    """Match detections to cells of any class, the highest score first, each to the free cell with the largest IoU.

    Ignored cells don't count. A detection that found no cell is left out if it lies on an ignored cell or outside the
    annotated regions.

    Args:
        detections: all of them.
        truth: the cells.
        pairs: all pairs with an IoU of at least ``min_iou``.
        min_score: detections with a lower score take no part.
        min_iou: smallest IoU of a match.
    """
    confident = detections.scores >= min_score
    chosen = pairs.select(confident[pairs.detections])
    cells = match_pairs(chosen, detections.image_of, np.array([min_iou]), truth.ignored, truth.ignored)[:, 0]
    matched = cells != UNMATCHED
    hit = matched & ~np.r_[truth.ignored, False][cells]
    false = confident & ~matched & truth.is_known_at(detections.image_of, detections.boxes_xywh)
    missed = ~truth.ignored
    missed[cells[hit]] = False
    nothing = len(truth.classes)
    true = np.concatenate([truth.labels[cells[hit]], np.full(false.sum(), nothing), truth.labels[missed]])
    predicted = np.concatenate([detections.labels[hit], detections.labels[false], np.full(missed.sum(), nothing)])
    counts = np.bincount(true * (nothing + 1) + predicted, minlength=(nothing + 1) ** 2)
    return Confusion(counts.reshape(nothing + 1, nothing + 1), truth.classes, min_score, min_iou)


@dataclass(frozen=True)
class ImageCounts:
    """Counts per image, of detections of at least ``min_score``.

    Args:
        cells: (I,) true cells, without ignored ones.
        found: (I,) of these, cells that a detection of their class found.
        false: (I, 5) false detections by FALSE_TYPES.
    """

    cells: NDArray[np.int64]
    found: NDArray[np.int64]
    false: NDArray[np.int64]

    @property
    def not_found(self) -> NDArray[np.int64]:
        """(I,) cells that no detection of their class found."""
        return self.cells - self.found

    @property
    def f1(self) -> NDArray[np.float64]:
        """(I,) harmonic mean of precision and recall; NaN for an image without cells and detections."""
        total = self.cells + self.found + self.false.sum(1)
        return np.divide(2 * self.found, total, out=np.full(len(total), np.nan), where=total > 0)

    def worst(self, limit: int) -> NDArray[np.int64]:
        """Images with errors, the lowest F1 first; of equal ones that with more errors first, then the earlier one."""
        mistakes = self.not_found + self.false.sum(1)
        order = np.lexsort((-mistakes, self.f1))
        return order[mistakes[order] > 0][:limit]


def count_images(errors: Errors, detections: Detections, truth: GroundTruth) -> ImageCounts:
    """Cells, hits and errors of every image."""
    n_images = len(truth.images)

    def per_image(chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.bincount(detections.image_of[chosen], minlength=n_images)

    return ImageCounts(cells=np.bincount(truth.image_of[~truth.ignored], minlength=n_images),
                       found=per_image(errors.types == CORRECT),
                       false=np.stack([per_image(errors.types == number) for number in range(len(FALSE_TYPES))], 1))
