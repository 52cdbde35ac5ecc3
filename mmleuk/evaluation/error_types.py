"""What kind each error is, and what it costs: TIDE's six types (Bolya et al., ECCV 2020, section 2).

Written from the paper. A false detection gets the first type that fits, where ``own`` is its largest IoU with a cell of
its class, ``other`` that with a cell of another class, and crowds are no cells:

1. localisation: ``background_iou <= own < min_iou``: right class, box not good enough;
2. class: ``other >= min_iou``: good box, wrong class;
3. duplicate: ``own >= min_iou``, but a surer detection already has that cell;
4. background: both below ``background_iou``: nothing is there;
5. both: the rest, ``background_iou <= other < min_iou``: wrong class, and box not good enough.

A cell that no detection found is missed, unless a class or localisation error lies on it: mending that would find it.

Legend: D detections, G cells, P pairs, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmleuk.evaluation.coco_scores import Matches, curves
from mmleuk.evaluation.detections import Detections
from mmleuk.evaluation.matching import UNMATCHED
from mmleuk.evaluation.overlaps import Pairs
from mmleuk.evaluation.truth import GroundTruth

FALSE_TYPES = ('class', 'localisation', 'both', 'duplicate', 'background')
TYPES = (*FALSE_TYPES, 'missed')
CORRECT, DISREGARDED, TOO_FAINT = -1, -2, -3
"""What stands in place of a type: a found cell, a detection on a crowd, one below the lowest score."""
BACKGROUND_IOU = 0.1


@dataclass(frozen=True)
class Errors:
    """The type of every error among detections of at least ``min_score``.

    Args:
        types: (D,) int64 place in FALSE_TYPES, CORRECT, DISREGARDED or TOO_FAINT.
        targets: (D,) int64 the cell that a class or localisation error lies on, else UNMATCHED.
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
        numbers = {name: int((self.types == place).sum()) for place, name in enumerate(FALSE_TYPES)}
        return numbers | dict(missed=int(self.missed.sum()))


def find_errors(detections: Detections, truth: GroundTruth, pairs: Pairs, matches: Matches, min_score: float,
                min_iou: float) -> Errors:
    """Sort errors into types.

    Args:
        detections: all of them.
        truth: the cells.
        pairs: all pairs with an IoU of at least BACKGROUND_IOU.
        matches: :func:`mmleuk.evaluation.coco_scores.match_classes` at ``min_iou`` alone.
        min_score: fainter detections take no part.
        min_iou: smallest IoU of a match.
    """
    hit, sure = matches.hit[:, 0], detections.scores >= min_score
    real = pairs.select(~truth.crowd[pairs.cells])
    same = detections.labels[real.detections] == truth.labels[real.cells]
    own, own_cell = _nearest(real.select(same), len(detections))
    other, other_cell = _nearest(real.select(~same), len(detections))
    place = {name: number for number, name in enumerate(FALSE_TYPES)}
    types = np.select(
        [hit, matches.disregarded[:, 0], (own >= BACKGROUND_IOU) & (own < min_iou), other >= min_iou, own >= min_iou,
         np.maximum(own, other) < BACKGROUND_IOU],
        [CORRECT, DISREGARDED, place['localisation'], place['class'], place['duplicate'], place['background']],
        default=place['both'])
    types[~sure] = TOO_FAINT
    targets = np.where(types == place['localisation'], own_cell,
                       np.where(types == place['class'], other_cell, UNMATCHED))
    missed: NDArray = matches.counted.copy()
    missed[matches.cells[hit & sure, 0]] = False
    missed[targets[targets != UNMATCHED]] = False
    return Errors(types, targets, missed, min_score, min_iou)


def _nearest(pairs: Pairs, n_detections: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(D,) the largest IoU of each detection, 0 without any, and (D,) whose it is; of equals the first cell's."""
    iou, cells = np.zeros(n_detections), np.full(n_detections, UNMATCHED, np.int64)
    order = np.lexsort((pairs.cells, -pairs.iou, pairs.detections))
    rows, first = np.unique(pairs.detections[order], return_index=True)
    iou[rows], cells[rows] = pairs.iou[order][first], pairs.cells[order][first]
    return iou, cells


def costs(errors: Errors, detections: Detections, truth: GroundTruth, matches: Matches) -> Mapping[str, float]:
    """How much the mean AP at ``min_iou`` would rise if all errors of one type were mended, types one by one.

    Mending: a class error gets the class of its cell and a localisation error its box, which makes the surest one on a
    cell that no other detection found correct and removes the others; the other false detections are removed; missed
    cells no longer count. Take ``errors`` with a ``min_score`` of 0, as AP counts faint detections, too.

    Returns:
        Gain by type in [-1, 1]; NaN where there is no ground truth.
    """
    n_cells = np.bincount(truth.labels[matches.counted], minlength=len(truth.classes))
    found = np.zeros(len(truth.labels), bool)
    hit = matches.hit[:, 0]
    found[matches.cells[hit, 0]] = True
    false = errors.types >= 0
    base = _mean_ap(detections.labels, detections.scores, hit, false, n_cells)
    gains = {}
    for place, name in enumerate(FALSE_TYPES):
        of_type = errors.types == place
        mended: NDArray = np.zeros(len(hit), bool)
        new_labels = detections.labels
        if name in ('class', 'localisation'):
            mended = _surest_on_free_cells(errors.targets, of_type, detections.scores, found)
            # UNMATCHED is -1: the entry put at the end, which no mended detection has.
            new_labels = np.where(mended, np.r_[truth.labels, 0][errors.targets], new_labels)
        gains[name] = _mean_ap(new_labels, detections.scores, hit | mended, false & ~of_type, n_cells) - base
    left = n_cells - np.bincount(truth.labels[errors.missed], minlength=len(truth.classes))
    gains['missed'] = _mean_ap(detections.labels, detections.scores, hit, false, left, n_cells > 0) - base
    return gains


def _surest_on_free_cells(targets: NDArray, of_type: NDArray, scores: NDArray, found: NDArray) -> NDArray[np.bool_]:
    """(D,) of the errors of one type the surest on each cell that was not found."""
    rows = np.flatnonzero(of_type)
    rows = rows[~found[targets[rows]]]
    rows = rows[np.argsort(-scores[rows], kind='stable')]
    chosen = np.zeros(len(targets), bool)
    chosen[rows[np.unique(targets[rows], return_index=True)[1]]] = True
    return chosen


def _mean_ap(labels: NDArray, scores: NDArray, hit: NDArray, false: NDArray, n_cells: NDArray,
             classes: NDArray | None = None) -> float:
    """Mean AP at one threshold over ``classes`` (K,) bool, by default those with cells; AP is 0 without cells."""
    order = np.lexsort((-scores, labels))
    bounds = np.searchsorted(labels[order], np.arange(len(n_cells) + 1))
    values = []
    for label in np.flatnonzero(n_cells > 0 if classes is None else classes):
        own = order[bounds[label]:bounds[label + 1]]
        precision = curves(hit[own, None], false[own, None], scores[own], n_cells[label])[0] if n_cells[label] else 0.0
        values.append(np.mean(precision))
    return float(np.mean(values)) if values else float('nan')
