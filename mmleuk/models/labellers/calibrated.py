"""Labels whose confidence threshold is measured inside the annotated regions, where the truth is known.

Legend: K predictions, C classes, L levels, S strictness levels (smallest IoU of a correct prediction).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmdet.structures.bbox import bbox_overlaps
from mmengine.dist import all_reduce
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmleuk.errors import UserError
from mmleuk.models.labellers.base import (
    KEPT,
    DenseObjectness,
    DenseTargets,
    Labeller,
    Request,
    box_area,
    centres_in,
    judged,
    overlaps_cell,
)
from mmleuk.models.labellers.thresholds import class_entropy
from mmleuk.registry import TASK_UTILS

NEVER = 2.0
"""A threshold that no confidence reaches."""


@TASK_UTILS.register_module()
class CalibratedLabeller(nn.Module, Labeller):
    """Predictions outside the regions become labels above a threshold that is measured inside the regions.

    It replaces Eq. 6's fixed thresholds. Inside the annotated regions the truth is known, so each class's thresholds
    are measured there (:class:`RegionCalibration`). There are three thresholds: for a cell of this class (correct at
    IoU 0.5), for its box (correct at IoU 0.75) and, in heads with an objectness per location, for background (its
    objectness is below that of labelled cells). Predictions that pass none of them are left out of the loss.

    Args:
        num_classes: C.
        num_levels: L of the detector; used only with heads that have an objectness per location.
        calibration: further arguments of :class:`RegionCalibration`.
        candidate_confidence: smallest confidence of a candidate.
        nms_iou: IoU of the class-agnostic suppression of candidates.
        max_per_image: predictions kept per image.
        max_labelled_iou: a prediction with a larger IoU with a labelled cell shows that cell.
        learn_background: also learn 'no cell here' outside the regions, where the predicted objectness is low.
        soft_objectness: the objectness target of a found label is the objectness of the model that predicted it, not
            the IoU with its box. That objectness estimates how well the box fits; the IoU with the model's own box
            would always be high.

    This method is ours, not from a paper; docs/benchmarks.md has its scores.
    """

    criteria = ('confidence', 'area', KEPT)

    def __init__(self, *, num_classes: int, num_levels: int = 3, calibration: dict | None = None,
                 candidate_confidence: float = 0.1, nms_iou: float = 0.5, max_per_image: int = 300,
                 max_labelled_iou: float = 0.5, learn_background: bool = True, soft_objectness: bool = True) -> None:
        super().__init__()
        self.calibration = RegionCalibration(num_classes=num_classes, num_levels=num_levels, **(calibration or {}))
        self.candidate_confidence = candidate_confidence
        self.nms_iou = nms_iou
        self.max_per_image = max_per_image
        self.max_labelled_iou = max_labelled_iou
        self.learn_background = learn_background
        self.soft_objectness = soft_objectness
        self.targets_per_location = learn_background or soft_objectness

    def request(self, source: str) -> Request:
        """One prediction per location."""
        return Request(self.candidate_confidence, self.nms_iou, class_agnostic=True, max_per_image=self.max_per_image)

    def observe(self, predictions: Sequence[InstanceData], truth: Sequence[InstanceData], regions: Sequence[Tensor],
                dense: DenseObjectness | None = None) -> None:
        """Compare predictions inside the regions, and the objectness at cells, with this batch's labels."""
        inside = [found[centres_in(found.bboxes, region)] for found, region in zip(predictions, regions)]
        self.calibration.update(inside, truth, [] if dense is None else dense.at_cells)

    def select(self, predictions: InstanceData, truth: InstanceData, regions: Tensor) -> InstanceData:
        """Judge one image's predictions; see :class:`Labeller`. The result also has ``entropy`` (K,) in bits."""
        boxes = predictions.bboxes
        found = predictions[~centres_in(boxes, regions) & ~overlaps_cell(boxes, truth.bboxes, self.max_labelled_iou)]
        right, exact = self.calibration.thresholds()[:, found.labels]
        large = box_area(found.bboxes) > self.min_area
        criterion = torch.where(found.scores >= right, torch.where(large, 2, 1), 0)
        answer = judged(found, criterion, kept=2, teaches_box=found.scores >= exact)
        answer.entropy = class_entropy(found.probabilities)
        return answer

    def dense_targets(self, dense: DenseObjectness | None) -> DenseTargets | None:
        """Background outside the regions, and objectness at labels' locations; None if the head has no objectness."""
        if dense is None:
            return None
        background = None
        if self.learn_background:
            thresholds = self.calibration.background_thresholds()
            background = [level < threshold for level, threshold in zip(dense.objectness, thresholds)]
        return DenseTargets(background, dense.objectness if self.soft_objectness else None)


def right_predictions(predictions: InstanceData, truth: InstanceData, min_iou: float) -> Tensor:
    """Which of an image's predictions (K,) found a labelled cell: same class, IoU of at least ``min_iou``.

    Only the most confident prediction of a cell is right; a second one is wrong, as in the evaluation of detections.
    """
    right = torch.zeros_like(predictions.labels, dtype=torch.bool)
    if not len(predictions) or not len(truth):
        return right
    same = predictions.labels[:, None] == truth.labels
    iou, cell = torch.where(same, bbox_overlaps(predictions.bboxes, truth.bboxes), -1.0).max(1)
    order = predictions.scores.argsort(descending=True, stable=True)
    order = order[iou[order] >= min_iou]
    first_of_cell = torch.full((len(truth),), len(order), device=iou.device)
    first_of_cell.scatter_reduce_(0, cell[order], torch.arange(len(order), device=iou.device), 'amin')
    right[order[first_of_cell[first_of_cell < len(order)]]] = True
    return right


class RegionCalibration(nn.Module):
    """Thresholds per class that give labels of a wanted precision, and thresholds for background.

    Inside the annotated regions every cell is labelled, so each prediction there is known to be right or wrong.
    Per class, two running histograms of confidence count all predictions and the right ones. They give the lowest
    threshold above which the wanted share is right. For background, a histogram of the objectness at locations of
    labelled cells gives the threshold below which only the share ``missed`` of them lies.

    Args:
        num_classes: C.
        num_levels: L.
        min_ious: S smallest IoUs of a right prediction.
        precisions: wanted share of right predictions, one per IoU.
        missed: largest share of cells' locations below the background threshold.
        min_evidence: smallest decayed count of predictions above a threshold (or of locations).
        decay: factor of the counts after each batch; 0.98 averages over about 50 batches.
        bins: number of bins of the histograms over [0, 1].

    The histograms are buffers: checkpoints hold them, and a resumed training continues with them. They are measured on
    the labels that the student trains on, so the precision is too optimistic. Check it against hidden truth if there
    is one (docs/pseudo_labels.md).
    """

    precisions: Tensor
    right: Tensor
    seen: Tensor
    places: Tensor

    def __init__(self, *, num_classes: int, num_levels: int, min_ious: Sequence[float] = (0.5, 0.75),
                 precisions: Sequence[float] = (0.95, 0.9), missed: float = 0.02, min_evidence: float = 20.0,
                 decay: float = 0.98, bins: int = 100) -> None:
        super().__init__()
        if len(min_ious) != len(precisions) or not all(0 < share < 1 for share in (*precisions, missed, decay)):
            raise UserError('RegionCalibration needs one precision per min_iou, and precisions, missed and decay '
                            f'in (0, 1); got {min_ious}, {precisions}, {missed}, {decay}')
        self.min_ious = tuple(min_ious)
        self.missed = missed
        self.min_evidence = min_evidence
        self.decay = decay
        self.bins = bins
        self.register_buffer('precisions', torch.tensor(precisions), persistent=False)
        self.register_buffer('seen', torch.zeros(num_classes, bins))
        self.register_buffer('right', torch.zeros(len(min_ious), num_classes, bins))
        self.register_buffer('places', torch.zeros(num_levels, bins))

    @torch.no_grad()
    def update(self, predictions: Sequence[InstanceData], truth: Sequence[InstanceData],
               objectness: Sequence[Tensor]) -> None:
        """Add a batch, of all processes together in distributed training.

        Args:
            predictions: per image those whose centres lie inside the annotated regions.
            truth: per image the labelled cells.
            objectness: per level, at the locations assigned to labelled cells, in [0, 1]; may be empty.

        Raises:
            UserError: the detector has another number of levels; the surplus ones would not be learnt.
        """
        if objectness and len(objectness) != len(self.places):
            raise UserError(f'CalibratedLabeller: num_levels is {len(self.places)}, but the detector has '
                            f'{len(objectness)} levels; set labeller.num_levels={len(objectness)}')
        added = [torch.zeros_like(histogram) for histogram in (self.seen, self.right, self.places)]
        seen, right, places = added
        for found, cells in zip(predictions, truth):
            where = found.labels, self._bins(found.scores)
            seen.index_put_(where, torch.ones_like(found.scores, dtype=seen.dtype), accumulate=True)
            for histogram, min_iou in zip(right, self.min_ious):
                hits = right_predictions(found, cells, min_iou)
                histogram.index_put_(where, hits.to(histogram), accumulate=True)
        for histogram, values in zip(places, objectness):
            histogram.index_add_(0, self._bins(values.float().sqrt()), torch.ones_like(values, dtype=histogram.dtype))
        for histogram, new in zip((self.seen, self.right, self.places), added):
            all_reduce(new)  # every process has the same thresholds
            histogram.mul_(self.decay).add_(new)

    def thresholds(self) -> Tensor:
        """(S, C) lowest confidence above which the wanted share is right; :data:`NEVER` without enough evidence."""
        seen = self.seen.flip(1).cumsum(1).flip(1)
        right = self.right.flip(2).cumsum(2).flip(2)
        # One more wrong prediction is added: a small count alone does not reach the wanted share.
        enough = (right >= self.precisions[:, None, None] * (seen + 1)) & (seen >= self.min_evidence)
        enough &= self.seen > 0  # nothing is known below the lowest confidence seen
        lowest = torch.where(enough, torch.arange(self.bins, device=seen.device), self.bins).amin(2)
        return torch.where(lowest < self.bins, lowest / self.bins, NEVER)

    def background_thresholds(self) -> Tensor:
        """(L,) objectness below which at most ``missed`` of the labelled cells' locations lie; 0 without evidence."""
        below = self.places.cumsum(1)
        total = below[:, -1:]
        safe = ((below <= self.missed * total) & (total >= self.min_evidence)).sum(1)
        return (safe / self.bins) ** 2

    def _bins(self, values: Tensor) -> Tensor:
        return (values.float() * self.bins).long().clamp(0, self.bins - 1)  # half precision has 8 bits of a bin
