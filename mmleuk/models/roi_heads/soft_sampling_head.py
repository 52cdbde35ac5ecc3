"""A two-stage detector's box head with soft sampling."""

from __future__ import annotations

from typing import Any

import torch
from mmdet.models.roi_heads.bbox_heads import Shared2FCBBoxHead
from mmdet.models.task_modules import SamplingResult
from mmdet.structures.bbox import get_box_tensor
from torch import Tensor

from mmleuk.models.dense_heads.soft_sampling_head import nearest_iou
from mmleuk.models.losses.soft_sampling import soft_sampling_weights
from mmleuk.registry import MODELS


@MODELS.register_module()
class SoftSamplingBBoxHead(Shared2FCBBoxHead):
    """Faster R-CNN's box head; negative proposals count less the farther they are from all labelled cells.

    Label weights of negatives become :func:`soft_sampling_weights` of their largest IoU with a labelled cell; the
    RPN's losses stay unchanged. The labelled cells are those with a sampled positive. These are all cells, since the
    sampler adds the cells themselves (``add_gt_as_proposals``), unless there are more cells than positives to sample.

    Args:
        floor, offset, slope: a, b and c of :func:`soft_sampling_weights`.
        others: as of MMDetection's ``Shared2FCBBoxHead``.

    Source: Soft Sampling for Robust Object Detection (BMVC 2019) and its authors' release.
    """

    def __init__(self, *args: Any, floor: float = 0.25, offset: float = 50.0, slope: float = 20.0,
                 **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.floor, self.offset, self.slope = floor, offset, slope

    def get_targets(self, sampling_results: list[SamplingResult], rcnn_train_cfg: Any, concat: bool = True) -> tuple:
        """MMDetection's targets with other label weights: labels, label weights, box targets, box weights."""
        labels, weights, *boxes = super().get_targets(sampling_results, rcnn_train_cfg, concat=False)
        targets = [labels, [self._soften(w, r) for w, r in zip(weights, sampling_results)], *boxes]
        return tuple(torch.cat(part) for part in targets) if concat else tuple(targets)

    def _soften(self, weights: Tensor, result: SamplingResult) -> Tensor:
        """Weights (P + N,) of one image's P positives and N negatives."""
        positives = len(result.pos_priors)
        nearest = nearest_iou(get_box_tensor(result.neg_priors), get_box_tensor(result.pos_gt_bboxes))
        soft = soft_sampling_weights(nearest, self.floor, self.offset, self.slope)
        return torch.cat([weights[:positives], weights[positives:] * soft])
