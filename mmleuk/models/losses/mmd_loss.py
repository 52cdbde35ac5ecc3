"""Maximum mean discrepancy: how far the features of two domains are apart."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor

from mmleuk.errors import UserError
from mmleuk.registry import MODELS

WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Widths of the kernels, as multiples of the mean squared distance."""


def squared_mmd(source: Tensor, target: Tensor, widths: Sequence[float] = WIDTHS) -> Tensor:
    """Squared maximum mean discrepancy of two sets of features.

    The kernel of x and y is the mean over ``widths`` of exp(-|x - y|^2 / (width * m)), where m is the mean squared
    distance of different samples of both sets. No gradient flows through m, else the loss could shrink by scaling.

    Args:
        source: (N, D) float; computed in float32.
        target: (M, D).
        widths: positive.

    Returns:
        Scalar >= 0; 0 with a gradient graph if a set is empty.

    Source: Gretton et al., JMLR 2012, Eq. 5 (the biased estimate); kernels of several widths as Long et al., ICML 2015.
    """
    both = torch.cat([source, target]).float()
    if not len(source) or not len(target):
        return both.sum() * 0
    # No square root: its gradient at distance 0, of a sample to itself, is infinite.
    distances = (both[:, None] - both[None]).square().sum(2)
    mean = distances.detach().sum() / max(len(both) * (len(both) - 1), 1)
    scaled = distances / mean.clamp(min=1e-12)
    kernel = torch.stack([torch.exp(-scaled / width) for width in widths]).mean(0)
    n = len(source)
    return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean()


@MODELS.register_module()
class MMDLoss(BaseModule):
    """:func:`squared_mmd` of the features of two domains, for any encoder.

    Args:
        loss_weight: factor of the result.
        widths: as in :func:`squared_mmd`.
    """

    def __init__(self, *, loss_weight: float = 1.0, widths: Sequence[float] = WIDTHS) -> None:
        super().__init__()
        if not widths or min(widths) <= 0:
            raise UserError(f'MMDLoss: widths are {tuple(widths)}; give at least one, all positive')
        self.loss_weight, self.widths = loss_weight, tuple(widths)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Features (N, D) and (M, D) -> scalar."""
        return self.loss_weight * squared_mmd(source, target, self.widths)
