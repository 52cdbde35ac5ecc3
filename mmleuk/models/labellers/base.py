"""What a labeller is asked and what it answers.

Legend: K predictions of one image, C classes, N labelled cells, R annotated regions. Boxes are xyxy in input pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from mmcv.ops import nms
from mmdet.structures.bbox import bbox_overlaps
from mmengine.structures import InstanceData
from torch import Tensor

from mmleuk.structures.regions import points_in_regions

SOURCES = ('annotation', 'student', 'teacher')
"""Who says that there is a cell; the field ``source`` of labels and predictions is an index into it."""

KEPT, UNSURE = 'kept', 'unsure'
"""Criteria with a meaning outside their labeller: labels, and candidates for the similarity loss."""


@dataclass(frozen=True)
class Request:
    """Which predictions a labeller wants to see.

    Attributes:
        min_score: predictions need this score; the detector's own detections more than it.
        nms_iou: predictions of an image overlap by at most this IoU.
        class_agnostic: one prediction per place with its ``probabilities`` (K, C), suppressed across classes. Otherwise
            the detector's own detections: suppressed per class, without probabilities.
        max_per_image: the number of predictions kept; None: the detector's test setting.
        proposals: the first stage's proposals instead of detections, where the detector has two stages.
    """

    min_score: float
    nms_iou: float = 0.5
    class_agnostic: bool = False
    max_per_image: int | None = None
    proposals: bool = False


class Labeller:
    """Base of the labellers in TASK_UTILS. A new criterion overrides :meth:`request` and :meth:`select`.

    Attributes:
        criteria: names of what can become of a prediction, in the order of the tests; one of them is 'kept'.
        counts_as_annotated: labels count like annotated ones: with weight 1, their box included, in any head.
        needs_regions: :meth:`select` looks at the annotated regions.
        sets_aside: predictions may have ``ignored``, so the detector must heed ignored boxes.
        min_area: square pixels of the training set's smallest cell, measured by :class:`mmleuk.PseudoLabelHook`.
    """

    criteria: tuple[str, ...] = (KEPT,)
    counts_as_annotated: bool = False
    needs_regions: bool = True
    sets_aside: bool = False
    min_area: float = 0.0

    def request(self, source: str) -> Request:
        """What :meth:`select` wants of this source, 'student' or 'teacher'."""
        raise NotImplementedError

    def select(self, predictions: InstanceData, truth: InstanceData, regions: Tensor) -> InstanceData:
        """Judge one image's predictions; nothing given is changed.

        Args:
            predictions: ``bboxes`` (K, 4), ``scores`` (K,), ``labels`` (K,) and ``source`` (K,), index into
                :data:`SOURCES`; with ``probabilities`` (K, C) where :meth:`request` asks for them. In a labeller of two
                views these are the other view's.
            truth: the labelled cells, ``bboxes`` (N, 4) and ``labels`` (N,).
            regions: (R, 4), where the annotation is complete; none where :attr:`needs_regions` is off.

        Returns:
            The judged predictions as :func:`judged` makes them; predictions that are no candidates are left out.
        """
        raise NotImplementedError

    def observe(self, predictions: Sequence[InstanceData], truth: Sequence[InstanceData], regions: Sequence[Tensor],
                opinion: Opinion | None = None) -> None:
        """Learn from a training batch before it is judged; called once per batch on every process."""

    def advise(self, opinion: Opinion | None) -> Advice | None:
        """What a head that learns objectness per place is to learn beside labels; None: nothing."""
        return None

    def count(self, judged: Sequence[InstanceData]) -> dict[str, int]:
        """Predictions of a batch by criterion."""
        criterion = torch.cat([found.criterion for found in judged])
        return dict(zip(self.criteria, torch.bincount(criterion, minlength=len(self.criteria)).tolist()))

    def group(self, judged: InstanceData, criterion: str) -> InstanceData:
        """One image's predictions that fell to a criterion."""
        return judged[judged.criterion == self.criteria.index(criterion)]


@dataclass(frozen=True)
class Opinion:
    """What the asked weights say of every place, for heads with an objectness per place.

    Attributes:
        objectness: per level (B, A, H, W) in [0, 1].
        at_cells: per level (K,), the objectness of the places that labelled cells are assigned to.
    """

    objectness: Sequence[Tensor]
    at_cells: Sequence[Tensor]


@dataclass(frozen=True)
class Advice:
    """What a head with an objectness per place learns beside labels.

    Attributes:
        background: per level (B, A, H, W) bool, predictions that learn 'no cell here' though no region covers them.
        objectness: per level (B, A, H, W) in [0, 1], what predictions of a cell that isn't annotated learn; None: the
            IoU with its box, as those of annotated cells.
    """

    background: Sequence[Tensor] | None = None
    objectness: Sequence[Tensor] | None = None


def judged(predictions: InstanceData, criterion: Tensor, kept: int, *, teaches_box: Tensor | None = None,
           weight: Tensor | None = None, ignored: Tensor | None = None) -> InstanceData:
    """A labeller's answer: the predictions with what became of them.

    Args:
        predictions: ``bboxes`` (K, 4), ``scores``, ``labels`` and ``source`` (K,).
        criterion: (K,) int64, index into the labeller's criteria.
        kept: index of 'kept'.
        teaches_box: (K,) bool, kept ones whose box is good enough to learn from; default all.
        weight: (K,) what a kept one weighs in the loss; default 1.
        ignored: (K,) bool, predictions under whose box no background is learnt; default none.

    Returns:
        The predictions with ``criterion``, ``weight`` (0 for all that aren't kept), ``teaches_box`` and ``ignored``.
    """
    is_kept = criterion == kept
    found = predictions[:]
    found.criterion = criterion
    found.weight = is_kept * (torch.ones_like(predictions.scores) if weight is None else weight)
    found.teaches_box = is_kept if teaches_box is None else is_kept & teaches_box
    found.ignored = torch.zeros_like(is_kept) if ignored is None else ignored
    return found


def box_area(boxes_xyxy: Tensor) -> Tensor:
    """Square pixels of boxes (K, 4), 0 where corners are inverted."""
    width, height = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).clamp(0).unbind(1)
    return width * height


def centres_in(boxes_xyxy: Tensor, regions_xyxy: Tensor) -> Tensor:
    """Which boxes (K, 4) have their centre in a region (R, 4): (K,) bool."""
    return points_in_regions((boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2, regions_xyxy)


def overlaps_cell(boxes_xyxy: Tensor, cells_xyxy: Tensor, max_iou: float) -> Tensor:
    """Which boxes (K, 4) overlap one of the cells (N, 4) by more than ``max_iou``, whatever the class: (K,) bool.

    A labelled cell on a region's border may be predicted with its centre just outside; it has its label already.
    """
    return (bbox_overlaps(boxes_xyxy, cells_xyxy) > max_iou).any(1)


def shows_cell(predictions: InstanceData, truth: InstanceData, max_iou: float) -> Tensor:
    """Which predictions (K,) show a labelled cell again: IoU above ``max_iou`` with a cell of the same class.

    >>> truth = InstanceData(bboxes=torch.tensor([[0., 0., 10., 10.]]), labels=torch.tensor([0]))
    >>> twice = torch.tensor([[0., 0., 10., 6.], [0., 0., 10., 6.]])
    >>> shows_cell(InstanceData(bboxes=twice, labels=torch.tensor([0, 1])), truth, max_iou=0.4).tolist()
    [True, False]
    """
    overlaps = bbox_overlaps(predictions.bboxes, truth.bboxes)
    return ((overlaps > max_iou) & (predictions.labels[:, None] == truth.labels)).any(1)


def suppress(predictions: InstanceData, max_iou: float, max_per_image: int | None = None) -> InstanceData:
    """One image's predictions after suppression across classes, by falling score, at most ``max_per_image``."""
    if not len(predictions):
        return predictions
    return predictions[nms(predictions.bboxes, predictions.scores, max_iou)[1][:max_per_image]]
