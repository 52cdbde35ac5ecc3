"""Asymmetric loss for attributes, with unknown values left out.

Legend: N cells, A attributes, V values of one attribute.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

from mmleuk.errors import UserError
from mmleuk.registry import MODELS
from mmleuk.schema import IGNORE


def asymmetric_loss(logits: Tensor, targets: Tensor, *, gamma_neg: float = 4.0, gamma_pos: float = 1.0,
                    clip: float = 0.08) -> tuple[Tensor, Tensor]:
    """Asymmetric loss of binary attributes, summed over the known ones.

    With p the probability of value 1 and p_m = max(p - clip, 0)::

        known 1:  -(1 - p) ** gamma_pos * log(p)
        known 0:  -p_m ** gamma_neg * log(1 - p_m)

    so easy negatives add nothing and rare positives keep their weight.

    Args:
        logits: (...) float, any float type; computed in float32.
        targets: (...) int, 0, 1 or IGNORE.
        gamma_neg, gamma_pos: focusing exponents, >= 0; larger ones reduce the loss of easy examples more.
        clip: a negative with a probability below this adds nothing, in [0, 1).

    Returns:
        Sum of the loss and number of known values, both scalars. The caller divides by the number, or by 1 if it is 0.

    Source: Ridnik et al., Asymmetric Loss For Multi-Label Classification (ICCV 2021), Eq. 4 to 7; the values are
    those of the LLD release.

    Example:
        >>> total, known = asymmetric_loss(torch.zeros(3), torch.tensor([1, 0, -1]))
        >>> round(total.item(), 4), known.item()  # 0.5 * log 2 + 0.42 ** 4 * -log 0.58
        (0.3635, 2)
    """
    if logits.shape != targets.shape:
        raise ValueError(f'logits {tuple(logits.shape)} and targets {tuple(targets.shape)} differ in shape')
    known = targets != IGNORE
    scores, present = logits.float()[known], targets[known] == 1
    probability = scores.sigmoid()
    shifted = (probability - clip).clamp(min=0)
    log_absent = torch.log1p(-shifted) if clip else F.logsigmoid(-scores)
    loss_present = _power(1 - probability, gamma_pos) * F.logsigmoid(scores)
    loss_absent = _power(shifted, gamma_neg) * log_absent
    return -torch.where(present, loss_present, loss_absent).sum(), known.sum()


def _power(base: Tensor, exponent: float) -> Tensor:
    """``base ** exponent`` of numbers from 0 to 1; below an exponent of 1 the gradient at 0 would be infinite."""
    return (base.clamp(min=1e-12) if 0 < exponent < 1 else base) ** exponent


def true_probability(logits: Tensor, *, gamma_neg: float = 4.0, gamma_pos: float = 1.0, clip: float = 0.08) -> Tensor:
    """The probability of value 1 that a logit stands for after training with :func:`asymmetric_loss`.

    The loss favours value 1: if half of the cells have it, the expected loss is smallest at a sigmoid of 0.659. A
    sigmoid of 0.5 stands for a frequency q of 0.113. With L1(p) and L0(p) the loss of a known 1 and a known 0, the
    expected loss q L1 + (1 - q) L0 is smallest where its derivative is 0, so q = L0' / (L0' - L1'). Both losses are
    convex in p for a ``gamma_neg`` of 0 or at least 1, so q grows with p.

    Args:
        logits: (...) float; computed in float64.
        gamma_neg, gamma_pos, clip: as in :func:`asymmetric_loss`.

    Returns:
        (...) float32 in [0, 1]; 0 if the sigmoid is below ``clip``. With a ``gamma_pos`` of 0 and a clip above 0 the
        largest value is below 1: all higher frequencies have an infinite logit.

    Example:
        >>> true_probability(torch.tensor([0.0, 0.66]))
        tensor([0.1127, 0.5019])
    """
    present = logits.double().sigmoid().clamp(1e-12, 1 - 1e-12)
    absent = 1 - present
    fall = absent ** gamma_pos / present - gamma_pos * absent ** (gamma_pos - 1) * present.log()  # -L1'
    shifted = (present - clip).clamp(min=0)
    rise = shifted ** gamma_neg / (1 - shifted)  # L0'
    if gamma_neg:
        rise = rise - gamma_neg * shifted ** (gamma_neg - 1) * torch.log1p(-shifted)
    rise = torch.where(present > clip, rise, 0.0)
    return (rise / (rise + fall)).float()


def known_cross_entropy(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy of one attribute with V values, summed over the known ones.

    Args:
        logits: (N, V) float; computed in float32.
        targets: (N,) int64 values, or IGNORE.

    Returns:
        Sum of the loss (0, never NaN, if all are unknown) and number of known values.
    """
    known = targets != IGNORE
    return F.cross_entropy(logits.float()[known], targets[known], reduction='sum'), known.sum()


@MODELS.register_module()
class AsymmetricLoss(BaseModule):
    """Mean of :func:`asymmetric_loss` over the known values; 0 with a gradient graph if none is known.

    Args:
        gamma_neg, gamma_pos, clip: as in :func:`asymmetric_loss`.
        loss_weight: factor of the result.
    """

    def __init__(self, *, gamma_neg: float = 4.0, gamma_pos: float = 1.0, clip: float = 0.08,
                 loss_weight: float = 1.0) -> None:
        super().__init__()
        if min(gamma_neg, gamma_pos) < 0 or not 0 <= clip < 1:
            raise UserError(f'AsymmetricLoss: needs gamma_neg, gamma_pos >= 0 and 0 <= clip < 1; '
                            f'got {gamma_neg}, {gamma_pos} and {clip}')
        self.gamma_neg, self.gamma_pos, self.clip, self.loss_weight = gamma_neg, gamma_pos, clip, loss_weight

    def sum_and_count(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Weighted sum and number of known values, for a caller that averages over more than these."""
        total, known = asymmetric_loss(
            logits, targets, gamma_neg=self.gamma_neg, gamma_pos=self.gamma_pos, clip=self.clip)
        return self.loss_weight * total, known

    def probability(self, logits: Tensor) -> Tensor:
        """Logits (...) -> probability (...) of value 1, float32; see :func:`true_probability`."""
        return true_probability(logits, gamma_neg=self.gamma_neg, gamma_pos=self.gamma_pos, clip=self.clip)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Logits (...) and targets (...) in {0, 1, IGNORE} -> scalar."""
        total, known = self.sum_and_count(logits, targets)
        return total / known.clamp(min=1)
