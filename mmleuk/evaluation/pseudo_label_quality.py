"""Quality of pseudo-labels, judged by annotations that training did not see.

Legend: K candidates, H hidden cells (those whose centre lies in no annotated region), C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmleuk.errors import UserError
from mmleuk.structures.ground_truth import in_regions
from mmleuk.structures.matching import DISREGARDED, UNMATCHED, match, pairwise_iou


@dataclass(frozen=True)
class HiddenCells:
    """Cells of one image that the training's annotation lacks.

    Attributes:
        boxes_xyxy: (H, 4) pixels.
        labels: (H,) int64.
        ignored: (H,) bool; a candidate on an ignored cell is neither right nor wrong.
    """

    boxes_xyxy: NDArray
    labels: NDArray
    ignored: NDArray


@dataclass(frozen=True)
class Tally:
    """Sums over images, per class; add tallies with ``+``.

    Attributes:
        taken: (C,) candidates by predicted class, without those on ignored cells.
        placed: (C,) of these, candidates that found a hidden cell of any class.
        right: (C,) of these, candidates of the cell's own class.
        iou: (C,) sum of the IoU of the right ones.
    """

    taken: NDArray
    placed: NDArray
    right: NDArray
    iou: NDArray

    def __add__(self, other: Tally) -> Tally:
        return Tally(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})

    @classmethod
    def empty(cls, num_classes: int) -> Tally:
        """A tally of zeros."""
        counts = {name: np.zeros(num_classes, np.int64) for name in ('taken', 'placed', 'right')}
        return cls(**counts, iou=np.zeros(num_classes))


def hide(boxes_xyxy: NDArray, labels: NDArray, ignored: NDArray, regions_xyxy: NDArray) -> HiddenCells:
    """The cells of a complete annotation whose centre lies in no region; borders belong to the region.

    Args:
        boxes_xyxy: (N, 4) pixels.
        labels: (N,) int64.
        ignored: (N,) bool.
        regions_xyxy: (R, 4) pixels; without a region every cell is hidden.

    Example:
        >>> boxes = np.array([[0., 0., 4., 4.], [8., 0., 12., 4.]])
        >>> hide(boxes, np.array([0, 1]), np.zeros(2, bool), np.array([[0., 0., 9., 9.]])).labels.tolist()
        [1]
    """
    boxes = np.asarray(boxes_xyxy, np.float64).reshape(-1, 4)
    hidden = ~in_regions((boxes[:, :2] + boxes[:, 2:]) / 2, regions_xyxy)
    return HiddenCells(boxes[hidden], np.asarray(labels, np.int64)[hidden], np.asarray(ignored, bool)[hidden])


def match_place_and_class(boxes_xyxy: NDArray, labels: NDArray, confidence: NDArray, hidden: HiddenCells,
                          min_iou: float = 0.5) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The hidden cell that each candidate found; a cell is found once.

    First, candidates are matched to cells of their class, the most confident candidate first. Then the remaining
    candidates are matched to the remaining cells of any class. So a candidate of the wrong class never takes a cell
    from one of the right class.

    Args:
        boxes_xyxy: (K, 4) pixels.
        labels: (K,) predicted classes.
        confidence: (K,).
        hidden: the image's hidden cells.
        min_iou: smallest IoU of a match.

    Returns:
        cell (K,): index into ``hidden``, UNMATCHED or DISREGARDED; IoU (K,) with that cell, 0 without one.
    """
    overlap = pairwise_iou(np.asarray(boxes_xyxy).reshape(-1, 4), hidden.boxes_xyxy, hidden.ignored)
    same_class = np.asarray(labels)[:, None] == hidden.labels
    cell = match(overlap, confidence, min_iou=min_iou, allowed=same_class & ~hidden.ignored)
    allowed = np.repeat(cell[:, None] == UNMATCHED, len(hidden.labels), 1)
    allowed[:, cell[cell >= 0]] = False
    left_over = match(overlap, confidence, min_iou=min_iou, ignored=hidden.ignored, allowed=allowed)
    cell = np.where(cell == UNMATCHED, left_over, cell)
    found, iou = cell >= 0, np.zeros(len(cell))
    iou[found] = overlap[found.nonzero()[0], cell[found]]
    return cell, iou


def judge(boxes_xyxy: NDArray, labels: NDArray, confidence: NDArray, hidden: HiddenCells, num_classes: int,
          min_iou: float = 0.5) -> Tally:
    """Judge the candidates of one image; arguments as of :func:`match_place_and_class`.

    Raises:
        UserError: a label is no class: model and data have different classes.

    Example: two candidates on one hidden cell; the second is a duplicate.
        >>> hidden = HiddenCells(np.array([[0., 0., 4., 4.]]), np.array([1]), np.array([False]))
        >>> boxes = np.array([[0., 0., 4., 3.], [0., 0., 4., 4.]])
        >>> tally = judge(boxes, np.array([1, 1]), np.array([.9, .8]), hidden, num_classes=2)
        >>> tally.taken.tolist(), tally.right.tolist(), tally.iou.tolist()
        ([0, 2], [0, 1], [0.0, 0.75])
    """
    labels = np.asarray(labels, np.int64)
    highest = max(labels.max(initial=-1), hidden.labels.max(initial=-1))
    if highest >= num_classes:
        raise UserError(f'class {highest} among {num_classes} classes: model and data have different classes')
    cell, iou = match_place_and_class(boxes_xyxy, labels, confidence, hidden, min_iou)
    placed = cell >= 0
    right = placed.copy()
    right[placed] = labels[placed] == hidden.labels[cell[placed]]
    count = lambda mask: np.bincount(labels[mask], minlength=num_classes)  # noqa: E731
    return Tally(taken=count(cell != DISREGARDED), placed=count(placed), right=count(right),
                 iou=np.bincount(labels[right], weights=iou[right], minlength=num_classes))


def count_hidden(hidden: HiddenCells, num_classes: int) -> NDArray[np.int64]:
    """(C,) hidden cells by class, without ignored ones: the denominator of recall."""
    return np.bincount(hidden.labels[~hidden.ignored], minlength=num_classes)


def scores(taken: int, placed: int, right: int, iou: float, hidden: int) -> dict[str, Any]:
    """Precision, recall and mean IoU; None where the denominator is 0.

    Example:
        >>> scores(taken=4, placed=3, right=2, iou=1.5, hidden=8)['precision'], scores(0, 0, 0, 0.0, 8)['precision']
        (0.5, None)
    """
    def ratio(part: float, whole: float) -> float | None:
        return float(part / whole) if whole else None
    return dict(taken=int(taken), right=int(right), wrong_class=int(placed - right), wrong_place=int(taken - placed),
                hidden=int(hidden), precision=ratio(right, taken), precision_any_class=ratio(placed, taken),
                recall=ratio(right, hidden), mean_iou=ratio(iou, right))


def summarise(tally: Tally, hidden: NDArray, classes: Sequence[str]) -> dict[str, Any]:
    """Scores over all classes and, under ``per_class``, of each.

    Per class, precision is over the candidates of this predicted class, and recall over its hidden cells.

    Args:
        tally: over all images.
        hidden: (C,) hidden cells by class.
        classes: names by label.
    """
    def of(label: int | slice) -> dict[str, Any]:
        return scores(taken=tally.taken[label].sum(), placed=tally.placed[label].sum(), right=tally.right[label].sum(),
                      iou=tally.iou[label].sum(), hidden=hidden[label].sum())
    return dict(of(slice(None)), per_class={name: of(label) for label, name in enumerate(classes)})
