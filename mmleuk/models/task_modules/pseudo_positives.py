"""SparseDet's choices between proposals and detections: which may be unlabelled cells, which count as labels.

Legend: P proposals, N labelled cells, D detections.
"""

from __future__ import annotations

import torch
from mmcv.ops import batched_nms, nms
from mmdet.structures.bbox import bbox_overlaps
from mmengine.structures import InstanceData
from torch import Tensor


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
        nms_iou: non-maximum suppression per class, in which a labelled cell's score is 1.

    Returns:
        ``bboxes`` and ``labels``, labelled cells first.

    Source: SparseDet's release; labelled cells that overlap each other all stay here, since they are known.
    """
    sure = detections[detections.scores > min_score]
    boxes, labels = torch.cat([cells.bboxes, sure.bboxes]), torch.cat([cells.labels, sure.labels])
    kept = torch.arange(len(cells), device=boxes.device)
    if len(sure):
        scores = torch.cat([sure.scores.new_ones(len(cells)), sure.scores])
        _, order = batched_nms(boxes, scores, labels, dict(type='nms', iou_threshold=nms_iou))
        kept = torch.cat([kept, order[order >= len(cells)]])
    return InstanceData(bboxes=boxes[kept], labels=labels[kept], metainfo=cells.metainfo)
