"""Which of a model's own detections join an image's labels: Co-mining's steps and Co-Student's.

Legend: N labelled cells of an image, M detections, S the student's, T the teacher's. Boxes are xyxy in input pixels.
"""

from __future__ import annotations

import torch
from mmdet.structures.bbox import bbox_overlaps
from mmengine.structures import InstanceData
from torch import Tensor


def is_labelled(detections: InstanceData, truth: InstanceData, max_iou: float) -> Tensor:
    """Which detections show a labelled cell again: IoU above ``max_iou`` with a cell of the same class.

    Args:
        detections: ``bboxes`` (M, 4) and ``labels`` (M,).
        truth: ``bboxes`` (N, 4) and ``labels`` (N,).
        max_iou: in [0, 1]; Co-mining has 0.4.

    Returns:
        (M,) bool.

    Example:
        >>> truth = InstanceData(bboxes=torch.tensor([[0., 0., 10., 10.]]), labels=torch.tensor([0]))
        >>> twice = torch.tensor([[0., 0., 10., 6.], [0., 0., 10., 6.]])
        >>> found = InstanceData(bboxes=twice, labels=torch.tensor([0, 1]))
        >>> is_labelled(found, truth, max_iou=0.4).tolist()
        [True, False]
    """
    overlaps = bbox_overlaps(detections.bboxes, truth.bboxes)
    return ((overlaps > max_iou) & (detections.labels[:, None] == truth.labels)).any(1)


def add_labels(truth: InstanceData, mined: InstanceData) -> InstanceData:
    """The labelled cells, then the mined ones: ``bboxes``, ``labels`` and the metainfo; other fields stay behind."""
    return InstanceData(metainfo=truth.metainfo, bboxes=torch.cat([truth.bboxes, mined.bboxes]),
                        labels=torch.cat([truth.labels, mined.labels]))


def merge_with_teacher(own: InstanceData, teacher: InstanceData, min_iou: float) -> InstanceData:
    """A view's detections after its teacher has looked at them.

    Where a teacher's box and an own one have an IoU above ``min_iou``, the one with the higher score stays, the
    teacher's when they are equal; with it stays its class. A teacher's box that meets no own one is added, and an own
    one that meets no teacher's is kept.

    Args:
        own: ``bboxes`` (S, 4), ``scores`` (S,) and ``labels`` (S,).
        teacher: ``bboxes`` (T, 4), ``scores`` (T,) and ``labels`` (T,).
        min_iou: in [0, 1]; Co-Student has 0.5.

    Returns:
        The own ones that stay, then the teacher's.

    Source: Co-Student (ECCV 2024). Whether the classes have to agree isn't said with it; here they need not.
    """
    meets = bbox_overlaps(own.bboxes, teacher.bboxes) > min_iou
    replaces = meets & (teacher.scores >= own.scores[:, None])
    return InstanceData.cat([own[~replaces.any(1)], teacher[replaces.any(0) | ~meets.any(0)]])
