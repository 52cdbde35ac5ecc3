"""Double-Head's box head, also for batches without a sampled box."""

from __future__ import annotations

from mmdet.models.roi_heads.bbox_heads import DoubleConvFCBBoxHead as MMDetDoubleConvFCBBoxHead
from torch import Tensor

from mmleuk.models.losses.no_loss import no_loss
from mmleuk.registry import MODELS


@MODELS.register_module()
class DoubleConvFCBBoxHead(MMDetDoubleConvFCBBoxHead):
    """MMDetection's head, which fails if no box is sampled, as in a batch of images without known regions.

    Args: as of mmdet's DoubleConvFCBBoxHead.
    """

    def forward(self, x_cls: Tensor, x_reg: Tensor) -> tuple[Tensor, Tensor]:
        """Scores and box deltas.

        Args:
            x_cls: (N, C, H, W) features for the classes; N may be 0.
            x_reg: (N, C, H, W) features for the boxes.

        Returns:
            (N, classes + 1) and (N, 4 * classes), or (N, 4) if boxes don't depend on the class.
        """
        if not len(x_cls):
            scores, boxes = (x_cls.new_zeros(0, layer.out_features) for layer in (self.fc_cls, self.fc_reg))
            return scores + no_loss(self), boxes + no_loss(self)
        return super().forward(x_cls, x_reg)
