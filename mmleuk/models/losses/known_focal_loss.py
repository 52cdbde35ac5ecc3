"""Focal loss over the predictions whose label is known."""

from __future__ import annotations

import torch
from mmdet.models.losses import FocalLoss
from torch import Tensor

from mmleuk.registry import MODELS

UNKNOWN = -1
"""Label of a prediction outside the known regions: neither a class nor background."""


@MODELS.register_module()
class KnownFocalLoss(FocalLoss):
    """MMDetection's focal loss; predictions labelled :data:`UNKNOWN` are left out.

    The divisor of the sum is at least 1. MMDetection's Sparse R-CNN divides by the number of cells (plus a tiny
    epsilon), so a batch without a cell would have a loss that is ten million times too large.

    Args: as of mmdet's FocalLoss.
    """

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None,
                avg_factor: float | Tensor | None = None, reduction_override: str | None = None) -> Tensor:
        """The loss, reduced as configured.

        Args:
            pred: (P, C) logits.
            target: (P,) int, 0 to C - 1, C for background, or UNKNOWN.
            weight: (P,) weight of each prediction.
            avg_factor: divisor of the sum; 1 is used if it is smaller. None: a mean is over the entries of known
                predictions.
            reduction_override: replaces the configured reduction.
        """
        known = target >= 0
        weight = known.to(pred.dtype) if weight is None else weight * known
        reduction = reduction_override or self.reduction
        if avg_factor is not None:
            avg_factor = max(float(avg_factor), 1.0)
        elif reduction == 'mean':
            avg_factor = max(int(known.sum()) * pred.shape[1], 1)
        return super().forward(pred, torch.where(known, target, pred.shape[1]), weight, avg_factor, reduction_override)
