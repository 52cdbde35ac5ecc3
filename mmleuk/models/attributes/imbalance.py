"""Rare values of attributes in the loss: weights and logit adjustment, from the values' counts in training.

Legend: N cells, A attributes, V values of one attribute.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce
from torch import Tensor, nn

from mmleuk.errors import UserError
from mmleuk.schema import IGNORE

OPTIONS = ('none', 'inverse_frequency', 'sqrt_inverse_frequency', 'logit_adjustment')


def value_weights(counts: Tensor, option: str) -> Tensor:
    """Weight of each value's cells in the loss; the mean over all cells is 1, and a value without a cell has weight 0.

    Args:
        counts: (V,) cells with each value.
        option: ``inverse_frequency`` or its square root. Both depend on shares alone, so cells may be counted in every
            epoch.

    Example:
        >>> value_weights(torch.tensor([30.0, 10.0, 0.0]), 'inverse_frequency').tolist()
        [0.6666666865348816, 2.0, 0.0]
    """
    counts = counts.float()
    size = counts.clamp(min=1)
    if option == 'sqrt_inverse_frequency':
        size = size.sqrt()
    weights = (counts > 0) / size
    return weights * counts.sum() / (weights * counts).sum().clamp(min=1e-12)


class Imbalance(nn.Module):
    """Cross-entropy that takes an attribute's rare values more seriously; it counts values during training.

    Args:
        cardinalities: V of each attribute.
        option: one of :data:`OPTIONS` but ``none``. The two weightings multiply a cell's loss by its value's weight.
            ``logit_adjustment`` adds the logarithm of a value's frequency to its logit in training only, so that the
            logits themselves are those of equally frequent values (Menon et al., ICLR 2021, Eq. 10).

    All of them make rare values more likely to be predicted: recall of these rises, precision and accuracy may fall,
    and probabilities are those of balanced data rather than frequencies.

    Raises:
        UserError: unknown option.
    """

    counts: Tensor

    def __init__(self, cardinalities: Sequence[int], option: str) -> None:
        super().__init__()
        if option not in OPTIONS[1:]:
            raise UserError(f'imbalance is {option!r}; the options are {", ".join(OPTIONS)}')
        self.option = option
        self.register_buffer('counts', torch.zeros(len(cardinalities), max(cardinalities)))

    def count(self, targets: Tensor) -> None:
        """Add the known values, (N, A) int64, of a batch of all processes."""
        known = F.one_hot(targets.clamp(min=0), self.counts.shape[1]) * (targets != IGNORE).unsqueeze(2)
        new = known.sum(0).to(self.counts)
        all_reduce(new)  # every process has the same weights
        self.counts += new

    def sum_and_count(self, index: int, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Loss of one attribute, summed over the known values, and their number.

        Args:
            index: of the attribute.
            logits: (N, V).
            targets: (N,) int64, IGNORE where unknown.
        """
        counts, known = self.counts[index, :logits.shape[1]], targets != IGNORE
        scores, weights = logits.float()[known], None
        if self.option == 'logit_adjustment':
            scores = scores + (counts.clamp(min=1) / counts.sum().clamp(min=1)).log()
        else:
            weights = value_weights(counts, self.option)
        return F.cross_entropy(scores, targets[known], weights, reduction='sum'), known.sum()
