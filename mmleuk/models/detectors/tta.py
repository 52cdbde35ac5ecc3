"""Test-time augmentation that keeps the attributes of cells.

Legend: M detections of all views together, K that are kept, A attributes, V values.
"""

from __future__ import annotations

import torch
from mmcv.ops import batched_nms
from mmdet.models.test_time_augs import DetTTAModel
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import bbox_overlaps
from mmengine.structures import InstanceData
from torch import Tensor

from mmleuk.registry import MODELS
from mmleuk.schema import IGNORE


@MODELS.register_module()
class CellTTAModel(DetTTAModel):
    """MMDetection's ``DetTTAModel``, whose merged detections keep all fields of a detection.

    Boxes, scores and labels are those of ``DetTTAModel``. Attributes are the mean over the views' detections of the
    same cell, weighted by scores, as :mod:`mmleuk.ensemble` fuses them (:func:`merge_attributes`). Any other field,
    such as a bottleneck's class, is the kept detection's. Ground truth and its attributes are the first view's.
    """

    def _merge_single_sample(self, data_samples: list[DetDataSample]) -> DetDataSample:
        views = [sample.pred_instances for sample in data_samples]
        boxes = self.merge_aug_bboxes([view.bboxes for view in views], None, [s.metainfo for s in data_samples])
        merged = data_samples[0]
        found = InstanceData.cat(views)
        if not len(found):
            return merged
        found.bboxes = boxes
        kept_boxes, kept = batched_nms(boxes, found.scores, found.labels, self.tta_cfg.nms)
        kept = kept[:self.tta_cfg.max_per_img]
        results = found[kept]
        results.bboxes, results.scores = kept_boxes[:len(kept), :-1], kept_boxes[:len(kept), -1]
        if 'attribute_probs' in found:
            same = (bbox_overlaps(boxes[kept], boxes) > self.tta_cfg.nms.iou_threshold) & (
                found.labels[kept][:, None] == found.labels)
            results.attributes, results.attribute_probs = merge_attributes(
                found.attribute_probs, same * found.scores)
        merged.pred_instances = results
        return merged


def merge_attributes(probs: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Merge the attributes of several detections of one cell; unknown attributes are left out of the mean.

    Args:
        probs: (M, A, V); rows of zeros where unknown.
        weights: (K, M) >= 0; 0 if a detection isn't of that cell.

    Returns:
        (K, A) int64 most probable values, IGNORE if all are unknown, and (K, A, V) probabilities, then zeros.

    Example:
        >>> probs = torch.tensor([[[0.8, 0.2], [0., 0.]], [[0.2, 0.8], [0., 0.]]])
        >>> merge_attributes(probs, torch.tensor([[1., 3.]]))[1]
        tensor([[[0.3500, 0.6500],
                 [0.0000, 0.0000]]])
    """
    total = weights @ (probs.sum(2) > 0).to(weights)
    merged = (weights @ probs.flatten(1)).view(*total.shape, -1) / torch.where(total > 0, total, 1)[:, :, None]
    return torch.where(total > 0, merged.argmax(2), IGNORE), merged
