"""Peer loss: classification that is robust against wrong labels and needs no noise rate."""

from __future__ import annotations

import torch
from mmengine.model import BaseModule
from torch import Tensor

from mmleuk.errors import UserError
from mmleuk.registry import MODELS
from mmleuk.schema import IGNORE

SMALLEST = 1e-8
"""Smallest probability in a logarithm. The second term is subtracted, so without a bound the loss has no minimum."""


def peer_loss(logits: Tensor, targets: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Cross-entropy of each prediction with its own label, minus ``alpha`` times that with the others' labels.

    What a prediction has in common with the labels of other samples gains nothing, so predicting the most frequent
    value, or whatever value noise made frequent, doesn't pay.

    Args:
        logits: (N, V) float; computed in float32.
        targets: (N,) int64 values, or IGNORE.
        alpha: weight of the second term, >= 0.

    Returns:
        Sum over the known values (0, never NaN, if all are unknown) and their number.

    The original draws one other prediction and one other label per sample. Here the second term is its mean over all
    pairs of the batch: the same in expectation, with less noise.

    Source: Liu and Guo, ICML 2020, Eq. 5; WBCAtt+ E.1.
    """
    known = targets != IGNORE
    log_probs = logits.float()[known].softmax(1).clamp(min=SMALLEST).log()
    labels = targets[known]
    own = -log_probs.gather(1, labels[:, None]).sum()
    shares = torch.bincount(labels, minlength=logits.shape[1]).to(log_probs) / known.sum().clamp(min=1)
    others = -(log_probs @ shares).sum()
    return own - alpha * others, known.sum()


@MODELS.register_module()
class PeerLoss(BaseModule):
    """Mean of :func:`peer_loss` over the known values; ``loss_softmax`` of :class:`AttributeClassifier` takes it.

    Args:
        alpha: as in :func:`peer_loss`.
        loss_weight: factor of the result.
    """

    def __init__(self, *, alpha: float = 0.5, loss_weight: float = 1.0) -> None:
        super().__init__()
        if alpha < 0:
            raise UserError(f'PeerLoss: alpha is {alpha}; it must be at least 0')
        self.alpha, self.loss_weight = alpha, loss_weight

    def sum_and_count(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Weighted sum and number of known values, for a caller that averages over more than these."""
        total, known = peer_loss(logits, targets, self.alpha)
        return self.loss_weight * total, known

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Logits (N, V) and targets (N,) -> scalar."""
        total, known = self.sum_and_count(logits, targets)
        return total / known.clamp(min=1)
