"""An RPN for sparse annotations: in training its proposals come from where something is known.

Legend: B images, A anchors per location, H, W locations of a map.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.models.dense_heads import RPNHead
from mmdet.models.utils import unpack_gt_instances
from mmdet.structures import SampleList
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor

from mmleuk.errors import UserError
from mmleuk.models.task_modules.sparse_region_sampler import prior_centres
from mmleuk.registry import MODELS
from mmleuk.structures.regions import background_is_known, points_in_regions


@MODELS.register_module()
class SparseRegionRPNHead(RPNHead):
    """MMDetection's RPN, whose proposals come from the annotated regions and labelled cells while it trains.

    A two-stage detector learns from its RPN's proposals with the highest scores, after suppression. Those outside the
    regions teach nothing: :class:`mmleuk.SparseRegionSampler` ignores them. With a fifth of each image annotated most
    proposals would be such ones. Here only anchors with their centre in a region, or in the box of a labelled cell,
    become proposals. The RPN's losses are unchanged, so its sampler has to know the regions, too. Prediction is that of
    RPNHead.

    Args: as of mmdet's RPNHead, with sigmoid scores.

    Raises:
        UserError: ``loss_cls`` doesn't use sigmoid scores.

    Source: LLD 4.3, Eq. 4, for a detector that selects its proposals.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.use_sigmoid_cls:
            raise UserError('SparseRegionRPNHead needs loss_cls=dict(type=..., use_sigmoid=True)')

    def loss_and_predict(self, x: tuple[Tensor, ...], batch_data_samples: SampleList,
                         proposal_cfg: ConfigDict | None = None) -> tuple[dict, list[InstanceData]]:
        """Losses, and for each of B images its proposals: ``bboxes``, ``scores``; see mmdet's RPNHead."""
        cells, ignored, metas = unpack_gt_instances(batch_data_samples)
        scores, deltas = self(x)
        losses = self.loss_by_feat(scores, deltas, cells, metas, ignored)
        known = self.known_anchors([tuple(score.shape[-2:]) for score in scores], cells)
        seen = [score.detach().masked_fill(~where, -torch.inf) for score, where in zip(scores, known, strict=True)]
        proposals = self.predict_by_feat(seen, deltas, batch_img_metas=metas, cfg=proposal_cfg)
        return losses, [found[found.scores > 0] for found in proposals]

    def known_anchors(self, sizes_hw: Sequence[tuple[int, int]], cells: Sequence[InstanceData]) -> list[Tensor]:
        """Find the anchors in a region, or in the box of a labelled cell.

        Args:
            sizes_hw: H, W of each map.
            cells: ``gt_instances`` of B images: ``bboxes`` (N, 4) in input pixels; the metainfo has
                ``annotated_regions``.

        Returns:
            (B, A, H, W) bool per map.
        """
        found = []
        levels = self.prior_generator.grid_priors(sizes_hw, device=cells[0].bboxes.device)
        for (height, width), anchors in zip(sizes_hw, levels, strict=True):
            centres = prior_centres(anchors)
            known = torch.stack([background_is_known(centres, own.metainfo) | points_in_regions(centres, own.bboxes)
                                 for own in cells])
            found.append(known.reshape(len(cells), height, width, -1).permute(0, 3, 1, 2))
        return found
