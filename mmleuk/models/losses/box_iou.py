"""Complete IoU of aligned boxes."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def complete_iou(first_cxcywh: Tensor, second_cxcywh: Tensor, eps: float = 1e-7) -> Tensor:
    """Complete IoU (CIoU) of row-aligned boxes.

    IoU - (centre distance / diagonal of the hull)^2 - alpha * v, with v the difference of aspect angles and
    alpha = v / (v - IoU + 1) taken as a constant. mmdet's ``CIoULoss`` drops the last term where IoU <= 0.5;
    YOLOv5 keeps it, hence this function.

    Args:
        first_cxcywh: (N, 4) centre and size, any unit.
        second_cxcywh: (N, 4), same unit.

    Returns:
        (N,) in (-1.5, 1].

    Source: Zheng et al., Distance-IoU Loss, AAAI 2020, and its extended version (TCYB 2021).
    """
    (x1, y1, w1, h1), (x2, y2, w2, h2) = first_cxcywh.unbind(-1), second_cxcywh.unbind(-1)
    inter_w = torch.minimum(x1 + w1 / 2, x2 + w2 / 2) - torch.maximum(x1 - w1 / 2, x2 - w2 / 2)
    inter_h = torch.minimum(y1 + h1 / 2, y2 + h2 / 2) - torch.maximum(y1 - h1 / 2, y2 - h2 / 2)
    inter = inter_w.clamp(0) * inter_h.clamp(0)
    iou = inter / (w1 * h1 + w2 * h2 - inter + eps)
    hull_w = torch.maximum(x1 + w1 / 2, x2 + w2 / 2) - torch.minimum(x1 - w1 / 2, x2 - w2 / 2)
    hull_h = torch.maximum(y1 + h1 / 2, y2 + h2 / 2) - torch.minimum(y1 - h1 / 2, y2 - h2 / 2)
    distance = ((x1 - x2) ** 2 + (y1 - y2) ** 2) / (hull_w ** 2 + hull_h ** 2 + eps)
    angle = torch.atan(w2 / (h2 + eps)) - torch.atan(w1 / (h1 + eps))
    v = 4 / math.pi ** 2 * angle ** 2
    alpha = (v / (v - iou + 1 + eps)).detach()
    return iou - distance - alpha * v
