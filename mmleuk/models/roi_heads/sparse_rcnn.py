"""Parts of Sparse R-CNN: proposals that never have a negative size, and a head for sparse annotations.

Legend: B images, P proposals (queries) per image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.models.dense_heads import EmbeddingRPNHead as MMDetEmbeddingRPNHead
from mmdet.models.roi_heads.bbox_heads import DIIHead
from mmdet.models.task_modules import SamplingResult
from mmdet.structures import SampleList
from mmdet.utils import InstanceList
from torch import Tensor

from mmleuk.errors import UserError
from mmleuk.registry import MODELS


@MODELS.register_module()
class EmbeddingRPNHead(MMDetEmbeddingRPNHead):
    """MMDetection's learnt proposals with ordered corners.

    A learnt width or height may become negative; mmcv's RoIAlign then fails on a CPU.

    Args: as of mmdet's EmbeddingRPNHead.
    """

    def _decode_init_proposals(self, x: Sequence[Tensor], batch_data_samples: SampleList) -> InstanceList:
        """Proposals of every image: ``bboxes`` (P, 4) xyxy with x2 >= x1 and y2 >= y1, ``features``, ``imgs_whwh``."""
        proposals = super()._decode_init_proposals(x, batch_data_samples)
        for found in proposals:
            first, second = found.bboxes.split(2, -1)
            found.bboxes = torch.cat([torch.minimum(first, second), torch.maximum(first, second)], -1)
        return proposals


@MODELS.register_module()
class SparseRegionDIIHead(DIIHead):
    """Sparse R-CNN's box head; queries that are background outside the regions have no loss.

    It needs ``sampler=dict(type='mmleuk.SparseRegionPseudoSampler')`` in its stage of ``train_cfg.rcnn``. The loss is
    divided by the number of matched queries, so averages stay the same.

    Args: as of mmdet's DIIHead.

    Source: LLD 4.3, Eq. 4, for a head that matches.
    """

    def get_targets(self, sampling_results: Sequence[SamplingResult], rcnn_train_cfg: Any,
                    concat: bool = True) -> tuple:
        """Labels and weights (B * P,), box targets and weights (B * P, 4); see mmdet's DIIHead.

        Raises:
            UserError: the sampling results don't mark unknown queries.
        """
        if not all(hasattr(result, 'unknown') for result in sampling_results):
            raise UserError("SparseRegionDIIHead needs sampler=dict(type='mmleuk.SparseRegionPseudoSampler') in every "
                            'stage of train_cfg.rcnn')
        labels, weights, boxes, box_weights = super().get_targets(sampling_results, rcnn_train_cfg, concat=False)
        weights = [weight.masked_fill(result.unknown, 0) for weight, result in zip(weights, sampling_results)]
        targets = (labels, weights, boxes, box_weights)
        return tuple(torch.cat(target) for target in targets) if concat else targets
