"""Labels from another view of the image: Co-mining's, the same with measured thresholds, and Co-Student's.

Legend: M predictions of one image's other view, N labelled cells, S the student's predictions, T the teacher's.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmdet.structures.bbox import bbox_overlaps
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmleuk.models.labellers.base import (
    KEPT,
    SOURCES,
    DenseObjectness,
    Labeller,
    Request,
    centres_in,
    judged,
    shows_cell,
)
from mmleuk.models.labellers.calibrated import RegionCalibration
from mmleuk.registry import TASK_UTILS


@TASK_UTILS.register_module()
class OtherViewLabeller(Labeller):
    """Every confident detection of the other view is a label, unless it repeats a labelled cell.

    Args:
        min_score: a detection's score must be higher than this.
        nms_iou: IoU of the detector's suppression per class, which runs first.
        labelled_iou: a detection with a larger IoU with a labelled cell of its class repeats that cell.

    Source: Co-mining (AAAI 2021, arXiv 2012.01950).
    """

    criteria: tuple[str, ...] = ('labelled', KEPT)
    counts_as_annotated = True
    needs_regions = False

    def __init__(self, *, min_score: float = 0.6, nms_iou: float = 0.5, labelled_iou: float = 0.4) -> None:
        self.min_score = min_score
        self.nms_iou = nms_iou
        self.labelled_iou = labelled_iou

    def request(self, source: str) -> Request:
        """The detector's own detections."""
        return Request(self.min_score, self.nms_iou)

    def select(self, predictions: InstanceData, truth: InstanceData, regions: Tensor) -> InstanceData:
        """Judge one view's predictions for the other; see :class:`Labeller`. Regions are not used."""
        return judged(predictions, (~shows_cell(predictions, truth, self.labelled_iou)).long(), kept=1)


@TASK_UTILS.register_module()
class CalibratedViewLabeller(nn.Module, OtherViewLabeller):
    """:class:`OtherViewLabeller` with one threshold per class, measured inside the annotated regions.

    A fixed score means something else in each detector: Co-mining's 0.6 is for focal class probabilities, YOLOv5's
    score is objectness times class. Here a class's threshold is the lowest score above which ``precision`` of its
    detections inside the regions are right (:class:`RegionCalibration`). The regions serve for nothing else: as in
    Co-mining, the detector learns background everywhere.

    Args:
        num_classes: number of classes.
        precision: wanted share of right detections, in (0, 1). Right: the most confident one of a labelled cell, of
            its class, with an IoU of at least 0.5.
        candidate_score: detections below are neither counted nor labels; it bounds the thresholds from below.
        calibration: further arguments of :class:`RegionCalibration`, such as ``decay``.
        nms_iou, labelled_iou: as of :class:`OtherViewLabeller`.

    The threshold is ours, the method around it is Co-mining; configs/co_mining/README.md has the scores.
    """

    criteria = ('labelled', 'confidence', KEPT)
    needs_regions = True
    background_outside = True

    def __init__(self, *, num_classes: int, precision: float = 0.95, candidate_score: float = 0.05,
                 calibration: dict | None = None, nms_iou: float = 0.5, labelled_iou: float = 0.4) -> None:
        super().__init__()
        OtherViewLabeller.__init__(self, min_score=candidate_score, nms_iou=nms_iou, labelled_iou=labelled_iou)
        self.calibration = RegionCalibration(num_classes=num_classes, num_levels=1, min_ious=(0.5,),
                                             precisions=(precision,), **(calibration or {}))

    def observe(self, predictions: Sequence[InstanceData], truth: Sequence[InstanceData], regions: Sequence[Tensor],
                dense: DenseObjectness | None = None) -> None:
        """Compare this batch's predictions inside the regions with its labels."""
        inside = [found[centres_in(found.bboxes, region)] for found, region in zip(predictions, regions)]
        self.calibration.update(inside, truth, [])

    def select(self, predictions: InstanceData, truth: InstanceData, regions: Tensor) -> InstanceData:
        """Judge one view's predictions for the other by their class's threshold; see :class:`Labeller`."""
        high = predictions.scores >= self.calibration.thresholds()[0, predictions.labels]
        labelled = shows_cell(predictions, truth, self.labelled_iou)
        return judged(predictions, torch.where(labelled, 0, torch.where(high, 2, 1)), kept=2)


@TASK_UTILS.register_module()
class TeacherMergeLabeller(OtherViewLabeller):
    """:class:`OtherViewLabeller` after merging its detections with a teacher's (:func:`merge_with_teacher`).

    Args:
        min_score: the score of the other view's own detections must be higher than this.
        teacher_score: the score of the teacher's detections must be higher than this.
        teacher_iou: with a larger IoU an own detection and a teacher's show the same cell.
        nms_iou, labelled_iou: as of :class:`OtherViewLabeller`.

    Source: Co-Student (ECCV 2024), its released configuration (FCOS, half of the labels missing).
    """

    def __init__(self, *, min_score: float = 0.5, teacher_score: float = 0.6, teacher_iou: float = 0.5,
                 nms_iou: float = 0.5, labelled_iou: float = 0.4) -> None:
        super().__init__(min_score=min_score, nms_iou=nms_iou, labelled_iou=labelled_iou)
        self.teacher_score = teacher_score
        self.teacher_iou = teacher_iou

    def request(self, source: str) -> Request:
        """The detector's own detections; a teacher's have another threshold."""
        return Request(self.teacher_score if source == 'teacher' else self.min_score, self.nms_iou)

    def select(self, predictions: InstanceData, truth: InstanceData, regions: Tensor) -> InstanceData:
        """Merge both sources' predictions, then judge them as :class:`OtherViewLabeller` does."""
        taught = predictions.source == SOURCES.index('teacher')
        merged = merge_with_teacher(predictions[~taught], predictions[taught], self.teacher_iou)
        return super().select(merged, truth, regions)


def merge_with_teacher(own: InstanceData, teacher: InstanceData, min_iou: float) -> InstanceData:
    """A view's own detections merged with the teacher's.

    Where a teacher's box and an own box have an IoU above ``min_iou``, the one with the higher score stays (the
    teacher's if scores are equal). A teacher's box that overlaps no own box is added. Classes may differ.

    Args:
        own: ``bboxes`` (S, 4), ``scores`` (S,) and ``labels`` (S,).
        teacher: ``bboxes`` (T, 4), ``scores`` (T,) and ``labels`` (T,).
        min_iou: in [0, 1]; Co-Student has 0.5.

    Returns:
        The own detections that stay, then the teacher's.

    Source: Co-Student (ECCV 2024).
    """
    meets = bbox_overlaps(own.bboxes, teacher.bboxes) > min_iou
    replaces = meets & (teacher.scores >= own.scores[:, None])
    return InstanceData.cat([own[~replaces.any(1)], teacher[replaces.any(0) | ~meets.any(0)]])
