"""Weights that let rare types count as much as frequent ones in a class loss. Legend: C classes, K predictions."""

from __future__ import annotations

import torch
from mmengine.dist import all_reduce
from torch import Tensor, nn

from mmleuk.errors import UserError


class ClassBalance(nn.Module):
    """One weight per class, from how often each class is learnt.

    A class with share ``s`` of the predictions gets a weight in proportion to ``s ** -exponent``, scaled so that the
    mean over predictions is 1: the class loss as a whole stays as large beside the other losses as it was.

    Args:
        num_classes: C.
        exponent: 0: all predictions weigh the same; 1: all classes together; between: a compromise.
        decay: factor of the counts after each batch; 0.99 averages over about 100 batches.

    Raises:
        UserError: an exponent outside of [0, 1], or a decay outside of (0, 1).

    The counts are a buffer: checkpoints hold them, and a resumed training continues with them. They count what a
    training really shows, so they follow a pipeline that draws rare types more often.
    Source: weights by inverse class frequency are common; see Cui et al., CVPR 2019, for them and an alternative.
    """

    counts: Tensor

    def __init__(self, num_classes: int, exponent: float = 1.0, decay: float = 0.99) -> None:
        super().__init__()
        if not (0 <= exponent <= 1 and 0 < decay < 1):
            raise UserError(f'ClassBalance needs exponent in [0, 1] and decay in (0, 1), got {exponent} and {decay}')
        self.exponent = exponent
        self.decay = decay
        self.register_buffer('counts', torch.zeros(num_classes))

    @torch.no_grad()
    def forward(self, labels: Tensor) -> Tensor:
        """Weights (C,) after counting a batch's labels (K,) int64, of all processes; evaluation counts nothing.

        A class that was never seen has the weight of one that was seen once.
        """
        if self.training:
            new = torch.bincount(labels, minlength=len(self.counts)).to(self.counts)
            all_reduce(new)  # every process has the same weights
            self.counts.mul_(self.decay).add_(new)
        weights = self.counts.clamp(min=1) ** -self.exponent
        total = self.counts.sum()
        return weights * total / (weights * self.counts).sum() if total > 0 else torch.ones_like(weights)
