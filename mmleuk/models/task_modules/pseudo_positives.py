"""SparseDet's choices between proposals and detections: which may be unlabelled cells, which count as labels.

Legend: P proposals, N labelled cells, D detections.
"""

from __future__ import annotations

from mmcv.ops import batched_nms, nms
from mmdet.structures.bbox import bbox_overlaps
from mmengine.structures import InstanceData
from torch import Tensor

from mmleuk.models.task_modules.mined_labels import add_labels, is_labelled


def find_pseudo_positives(boxes_xyxy: Tensor, objectness: Tensor, cells_xyxy: Tensor, *, min_objectness: float,
                          max_iou: float) -> Tensor:
    """Tell which proposals look like a cell that nobody labelled.

    Args:
        boxes_xyxy: (P, 4) pixels.
        objectness: (P,) in 0 to 1.
        cells_xyxy: (N, 4) labelled cells; where there are none, objectness alone decides.
        min_objectness: more than this is needed.
        max_iou: with every labelled cell at most this.

    Returns:
        (P,) bool.

    Source: SparseDet (ICCV 2023), pseudo-positive mining.

    Example:
        >>> import torch
        >>> boxes = torch.tensor([[0., 0., 10., 10.], [20., 0., 30., 10.], [40., 0., 50., 10.]])
        >>> find_pseudo_positives(boxes, torch.tensor([.9, .9, .5]), boxes[:1], min_objectness=0.8, max_iou=0.2)
        tensor([False,  True, False])
    """
    found = objectness > min_objectness
    if len(cells_xyxy):
        found = found & (bbox_overlaps(boxes_xyxy, cells_xyxy) <= max_iou).all(1)
    return found


def thin_out(boxes_xyxy: Tensor, scores: Tensor, max_iou: float) -> Tensor:
    """The best-scored of boxes that overlap by more than ``max_iou``: (P, 4) and (P,) -> (P', 4)."""
    if not len(boxes_xyxy):
        return boxes_xyxy
    return nms(boxes_xyxy, scores, max_iou)[0][:, :4]


def add_sure_detections(cells: InstanceData, detections: InstanceData, *, min_score: float,
                        nms_iou: float) -> InstanceData:
    """Labelled cells and the sure detections beside them.

    Args:
        cells: ``bboxes`` (N, 4) and ``labels`` (N,); all stay, with metainfo.
        detections: ``bboxes`` (D, 4), ``labels`` and ``scores`` (D,).
        min_score: detections need more.
        nms_iou: a detection that overlaps a labelled cell or a surer detection of its class by more is dropped.

    Returns:
        ``bboxes`` and ``labels``, labelled cells first.

    Source: SparseDet's release, where one suppression goes over both, labelled cells with the score 1. Here labelled
    cells suppress no labelled cell, since they are known, and every one of them suppresses detections.
    """
    sure = detections[detections.scores > min_score]
    sure = sure[~is_labelled(sure, cells, nms_iou)]
    if len(sure):
        _, kept = batched_nms(sure.bboxes, sure.scores, sure.labels, dict(type='nms', iou_threshold=nms_iou))
        sure = sure[kept]
    return add_labels(cells, sure)
