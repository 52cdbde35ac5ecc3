"""MMDetection's heads without a sampler, for sparse annotations: background counts only inside annotated regions.

Legend: P locations, Q queries, N labelled cells. ``gt_instances`` have ``annotated_regions`` in their metainfo
(:class:`mmleuk.PackCells`); without it they raise a UserError.
"""

from __future__ import annotations

from typing import Any

import torch
from mmdet.models.dense_heads import DINOHead, FCOSHead
from mmengine.structures import InstanceData
from torch import Tensor

from mmleuk.errors import UserError
from mmleuk.models.losses.known_focal_loss import UNKNOWN, KnownFocalLoss
from mmleuk.registry import MODELS
from mmleuk.structures.regions import background_is_known


def find_unknown(labels: Tensor, background: int, centres_xy: Tensor, gt_instances: InstanceData) -> Tensor:
    """Find background labels outside the known regions: (P,) labels and (P, 2) pixels -> (P,) bool."""
    return (labels == background) & ~background_is_known(centres_xy, gt_instances.metainfo)


@MODELS.register_module()
class SparseRegionFCOSHead(FCOSHead):
    """FCOS's head; locations outside the regions are not background. Those of a labelled cell always count.

    Args: as of mmdet's FCOSHead; ``loss_cls`` is a :class:`mmleuk.KnownFocalLoss`.

    Raises:
        UserError: another ``loss_cls``; it can't skip unknown locations.

    Source: LLD 4.3, Eq. 4, for a head whose classification averages over positives.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not isinstance(self.loss_cls, KnownFocalLoss):
            raise UserError("SparseRegionFCOSHead needs loss_cls=dict(type='mmleuk.KnownFocalLoss'), got "
                            f'{type(self.loss_cls).__name__}')

    def _get_targets_single(self, gt_instances: InstanceData, points: Tensor, *args: Any,
                            **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Labels (P,), UNKNOWN where nothing is known, and box targets (P, 4) of one image's points (P, 2)."""
        labels, boxes = super()._get_targets_single(gt_instances, points, *args, **kwargs)
        return labels.masked_fill(find_unknown(labels, self.num_classes, points, gt_instances), UNKNOWN), boxes


@MODELS.register_module()
class SparseRegionDINOHead(DINOHead):
    """DINO's head; queries outside the regions are not background. Those of a labelled cell always count.

    The centre of its predicted box is a query's location. Denoising queries stay, since they are made from labelled
    cells. An image with fewer cells than another image of the batch gets filler queries; here they have no loss.
    MMDetection trains them as background in the middle of the image. The detector to use it in is
    :class:`mmleuk.SparseRegionDINO`: DINO's own queries lie mostly outside the regions.

    Args: as of mmdet's DINOHead.

    Source: LLD 4.3, Eq. 4, for a head that matches.
    """

    def _get_targets_single(self, cls_score: Tensor, bbox_pred: Tensor, gt_instances: InstanceData,
                            img_meta: dict) -> tuple:
        """Targets of one image's queries: scores (Q, C) and boxes (Q, 4), cxcywh from 0 to 1; see mmdet's DETRHead."""
        labels, weights, boxes, box_weights, positive, negative = super()._get_targets_single(
            cls_score, bbox_pred, gt_instances, img_meta)
        height, width = img_meta['img_shape'][:2]
        centres = bbox_pred[:, :2].detach() * bbox_pred.new_tensor([width, height])
        unknown = find_unknown(labels, self.num_classes, centres, gt_instances)
        return labels, weights.masked_fill(unknown, 0), boxes, box_weights, positive, negative[~unknown[negative]]

    def _get_dn_targets_single(self, gt_instances: InstanceData, img_meta: dict, dn_meta: dict[str, int]) -> tuple:
        """Targets of one image's denoising queries; see mmdet's DINOHead."""
        labels, weights, boxes, box_weights, positive, negative = super()._get_dn_targets_single(
            gt_instances, img_meta, dn_meta)
        made_of_cells = torch.zeros_like(weights)
        made_of_cells[torch.cat([positive, negative])] = 1
        return labels, weights * made_of_cells, boxes, box_weights, positive, negative
