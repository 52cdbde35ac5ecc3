"""Of detections that overlap much only the one with the highest score stays, whatever the classes."""

from __future__ import annotations

import torch
from mmcv.ops import nms
from torch import Tensor


def suppress_overlaps(boxes_xyxy: Tensor, scores: Tensor, max_overlap: float) -> Tensor:
    """Indices (K,) of the detections to keep, the highest score first.

    Detectors suppress overlaps within a class, and mAP rewards a second guess of the class; a person who counts cells
    wants none.

    Args:
        boxes_xyxy: (N, 4) pixels.
        scores: (N,).
        max_overlap: largest IoU that two kept boxes may have; 1 keeps everything.

    Example:
        >>> boxes = torch.tensor([[0., 0., 10., 10.], [0., 0., 10., 9.], [20., 20., 30., 30.]])
        >>> suppress_overlaps(boxes, torch.tensor([0.5, 0.9, 0.3]), 0.5).tolist()
        [1, 2]
    """
    if max_overlap >= 1 or not len(boxes_xyxy):
        return torch.argsort(scores, descending=True, stable=True)
    return nms(boxes_xyxy.float(), scores.float(), max_overlap)[1]
