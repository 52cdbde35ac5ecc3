"""What a labeller receives and what it returns.

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

from mmleuk.schema import AttributeSchema
from mmleuk.structures.regions import points_in_regions

SOURCES = ('annotation', 'student', 'teacher')
"""Where a label or prediction comes from; the field ``source`` is an index into it."""

KEPT, UNSURE = 'kept', 'unsure'
"""Criteria that other parts use: predictions that become labels, and predictions for the similarity loss."""


@dataclass(frozen=True)
class Request:
    """Which predictions a labeller needs.

    Attributes:
        min_score: predictions have at least this score; the detector's own detections have more.
        nms_iou: two predictions of an image have at most this IoU.
        class_agnostic: one prediction per location, with its ``probabilities`` (K, C) and suppression across classes.
            Otherwise the detector's own detections, with suppression per class and without probabilities.
        max_per_image: largest number of predictions; None: the detector's test setting.
        proposals: a two-stage detector gives its first stage's proposals instead of detections.
    """

    min_score: float
    nms_iou: float = 0.5
    class_agnostic: bool = False
    max_per_image: int | None = None
    proposals: bool = False


class Labeller:
    """Base of the labellers in TASK_UTILS. A new criterion overrides :meth:`request` and :meth:`select`.

    Attributes:
        criteria: names of the possible outcomes for a prediction, in the order of the tests; one is 'kept'.
        counts_as_annotated: found labels are used like annotated ones: weight 1, and their box is learnt, in any head.
        needs_regions: :meth:`observe` or :meth:`select` uses the annotated regions.
        background_outside: with ``needs_regions``, the detector may still learn background outside the regions.
        sets_aside: :meth:`select` may mark predictions ``ignored``, so the detector must support ignored boxes.
        targets_per_location: :meth:`dense_targets` may add some. They belong to the image that was predicted on, so
            they can't go to another view of it.
        schema: attributes that it needs of predictions, which an :class:`mmleuk.AttriDet` around the detector reads;
            None: it needs none.
        min_area: square pixels of the training set's smallest cell, measured by :class:`mmleuk.PseudoLabelHook`.
    """

    criteria: tuple[str, ...] = (KEPT,)
    counts_as_annotated: bool = False
    needs_regions: bool = True
    background_outside: bool = False
    sets_aside: bool = False
    targets_per_location: bool = False
    schema: AttributeSchema | None = None
    min_area: float = 0.0

    def request(self, source: str) -> Request:
        """The predictions that :meth:`select` needs from this source, 'student' or 'teacher'."""
        raise NotImplementedError

    def is_read(self, labels: Tensor) -> Tensor:
        """With :attr:`schema`: predictions of which labels (K,) need their attributes, (K,) bool; default all."""
        return torch.ones_like(labels, dtype=torch.bool)

    def select(self, predictions: InstanceData, truth: InstanceData, regions: Tensor) -> InstanceData:
        """Judge one image's predictions; the arguments stay unchanged.

        Args:
            predictions: ``bboxes`` (K, 4), ``scores`` (K,), ``labels`` (K,) and ``source`` (K,), index into
                :data:`SOURCES`; with ``probabilities`` (K, C) where :meth:`request` asks for them, and with
                ``attribute_probs`` (K, A, V), 0 where unread, if :attr:`schema` isn't None. With two views they come
                from the other view.
            truth: the labelled cells, ``bboxes`` (N, 4) and ``labels`` (N,).
            regions: (R, 4), where the annotation is complete; empty if :attr:`needs_regions` is False.

        Returns:
            The judged predictions, see :func:`judged`; predictions that are no candidates are left out.
        """
        raise NotImplementedError

    def observe(self, predictions: Sequence[InstanceData], truth: Sequence[InstanceData], regions: Sequence[Tensor],
                dense: DenseObjectness | None = None) -> None:
        """Learn from a training batch before its predictions are judged; called once per batch on every process."""

    def dense_targets(self, dense: DenseObjectness | None) -> DenseTargets | None:
        """Extra targets for a head with an objectness per location; None: no extra targets."""
        return None

    def count(self, judged: Sequence[InstanceData]) -> dict[str, int]:
        """Predictions of a batch by criterion."""
        criterion = torch.cat([found.criterion for found in judged])
        return dict(zip(self.criteria, torch.bincount(criterion, minlength=len(self.criteria)).tolist()))

    def group(self, judged: InstanceData, criterion: str) -> InstanceData:
        """One image's predictions with this outcome."""
        return judged[judged.criterion == self.criteria.index(criterion)]


@dataclass(frozen=True)
class DenseObjectness:
    """The objectness that the student or teacher predicts at every location, for heads that have one.

    Attributes:
        objectness: per level (B, A, H, W) in [0, 1].
        at_cells: per level (K,), the objectness at the locations that labelled cells are assigned to.
    """

    objectness: Sequence[Tensor]
    at_cells: Sequence[Tensor]


@dataclass(frozen=True)
class DenseTargets:
    """Extra targets, beside labels, for heads with an objectness per location.

    Attributes:
        background: per level (B, A, H, W) bool, predictions outside the regions that learn 'no cell here'.
        objectness: per level (B, A, H, W) in [0, 1], the objectness target of predictions assigned to found labels.
            None: the IoU with the label's box, as for annotated cells.
    """

    background: Sequence[Tensor] | None = None
    objectness: Sequence[Tensor] | None = None

    def of_images(self, rows: Sequence[int]) -> DenseTargets:
        """Those of some of the B images."""
        return DenseTargets(*(None if levels is None else [level[rows] for level in levels]
                              for levels in (self.background, self.objectness)))


def judged(predictions: InstanceData, criterion: Tensor, kept: int, *, teaches_box: Tensor | None = None,
           weight: Tensor | None = None, ignored: Tensor | None = None) -> InstanceData:
    """What a labeller returns: the predictions with their outcome.

    Args:
        predictions: ``bboxes`` (K, 4), ``scores``, ``labels`` and ``source`` (K,).
        criterion: (K,) int64, index into the labeller's criteria.
        kept: index of 'kept'.
        teaches_box: (K,) bool, kept predictions whose box is good enough to learn; default all.
        weight: (K,) weight of a kept prediction in the loss; default 1.
        ignored: (K,) bool, no background is learnt under the box of these predictions; default none.

    Returns:
        The predictions with ``criterion``, ``weight`` (0 if not kept), ``teaches_box`` and ``ignored``.
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


def with_area(predictions: InstanceData) -> InstanceData:
    """Those whose box has an area: cut at the image's border nothing may be left, and a loss of it is infinite.

    >>> with_area(InstanceData(bboxes=torch.tensor([[2., 0., 4., 2.], [4., 0., 4., 2.]]))).bboxes.tolist()
    [[2.0, 0.0, 4.0, 2.0]]
    """
    return predictions[box_area(predictions.bboxes) > 0]


def centres_in(boxes_xyxy: Tensor, regions_xyxy: Tensor) -> Tensor:
    """Which boxes (K, 4) have their centre in a region (R, 4): (K,) bool."""
    return points_in_regions((boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2, regions_xyxy)


def overlaps_cell(boxes_xyxy: Tensor, cells_xyxy: Tensor, max_iou: float) -> Tensor:
    """Which boxes (K, 4) overlap one of the cells (N, 4) by more than ``max_iou``, whatever the class: (K,) bool.

    A cell at a region's border is labelled, but the centre of its prediction may lie just outside the region.
    """
    return (bbox_overlaps(boxes_xyxy, cells_xyxy) > max_iou).any(1)


def shows_cell(predictions: InstanceData, truth: InstanceData, max_iou: float) -> Tensor:
    """Which predictions (K,) repeat a labelled cell: IoU above ``max_iou`` with a cell of the same class.

    >>> truth = InstanceData(bboxes=torch.tensor([[0., 0., 10., 10.]]), labels=torch.tensor([0]))
    >>> twice = torch.tensor([[0., 0., 10., 6.], [0., 0., 10., 6.]])
    >>> shows_cell(InstanceData(bboxes=twice, labels=torch.tensor([0, 1])), truth, max_iou=0.4).tolist()
    [True, False]
    """
    overlaps = bbox_overlaps(predictions.bboxes, truth.bboxes)
    return ((overlaps > max_iou) & (predictions.labels[:, None] == truth.labels)).any(1)


def suppress(predictions: InstanceData, max_iou: float, max_per_image: int | None = None) -> InstanceData:
    """One image's predictions after suppression across classes: highest score first, at most ``max_per_image``."""
    if not len(predictions):
        return predictions
    return predictions[nms(predictions.bboxes, predictions.scores, max_iou)[1][:max_per_image]]
