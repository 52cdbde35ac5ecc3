"""YOLOv5's head with soft sampling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.structures.bbox import bbox_overlaps
from torch import Tensor

from mmleuk.models.dense_heads.yolov5_head import YOLOv5Head
from mmleuk.models.losses.soft_sampling import soft_sampling_weights
from mmleuk.models.task_modules.yolov5_assigner import BatchCells
from mmleuk.registry import MODELS


@MODELS.register_module()
class SoftSamplingYOLOv5Head(YOLOv5Head):
    """YOLOv5's head; background counts less the farther it is from all labelled cells.

    This is an adaptation. In the paper soft sampling weighs the negative proposals of a two-stage detector
    (:class:`mmleuk.SoftSamplingBBoxHead`). Here it weighs the objectness loss of predictions without an assigned cell.
    The weight depends on the IoU of the predicted box with the image's labelled cells, and no gradient flows through
    it. The divisor of the loss stays unchanged, so less background means less loss. Most predictions overlap no cell
    and have the weight ``floor``.

    Args:
        floor, offset, slope: a, b and c of :func:`soft_sampling_weights`.
        others: as of :class:`YOLOv5Head`.

    Source: Soft Sampling for Robust Object Detection (BMVC 2019).
    """

    def __init__(self, *, floor: float = 0.25, offset: float = 50.0, slope: float = 20.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.floor, self.offset, self.slope = floor, offset, slope

    @torch.no_grad()
    def weigh_background(self, background: Sequence[Tensor | None], logits: Sequence[Tensor],
                         cells: BatchCells) -> Sequence[Tensor | None]:
        """Per level (B, A, H, W): soft sampling's weight where the background is known, 0 elsewhere."""
        weighed = []
        for boxes, known in zip(self.boxes(logits), background):
            nearest = torch.stack([nearest_iou(of_image, cells.boxes_xyxy[cells.image == image])
                                   for image, of_image in enumerate(boxes)])
            weights = soft_sampling_weights(nearest, self.floor, self.offset, self.slope)
            weighed.append(weights if known is None else weights * (known if known.dim() == 4 else known[:, None]))
        return weighed


def nearest_iou(boxes_xyxy: Tensor, cells_xyxy: Tensor) -> Tensor:
    """Largest IoU of each of the boxes (..., 4) with the cells (N, 4): (...), 0 without cells."""
    if not len(cells_xyxy):
        return boxes_xyxy.new_zeros(boxes_xyxy.shape[:-1])
    return bbox_overlaps(boxes_xyxy.reshape(-1, 4), cells_xyxy).amax(1).view(boxes_xyxy.shape[:-1])
