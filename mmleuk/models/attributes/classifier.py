"""Features of cells -> attributes: logits, loss and probabilities, for features of any source.

Legend: N cells, D features, A attributes, V values of one attribute, K logits of all attributes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmleuk.errors import UserError
from mmleuk.models.attributes.imbalance import Imbalance
from mmleuk.models.losses.asymmetric_loss import known_cross_entropy
from mmleuk.registry import MODELS
from mmleuk.schema import IGNORE, AttributeSchema, resolve_schema

NEGATIVE_SLOPE = 0.01
"""Of LeakyReLU."""


class AttributeClassifier(BaseModule):
    """A fully connected net from features to the attributes of a schema.

    Args:
        attributes: schema: a preset's name (``leukemia``, ``wbcatt``), or ``{attribute: [value names]}``.
        in_features: D.
        hidden: widths of the hidden layers; none by default, which leaves one linear layer.
        dropout: probability between the layers.
        loss_binary: config of the loss of binary attributes, which then get one logit each; it needs
            ``sum_and_count`` and ``probability`` as :class:`AsymmetricLoss` has them. None: a binary attribute gets two
            logits and cross-entropy, as an attribute with V > 2 values gets V.
        loss_softmax: config of the loss of attributes with a logit per value, such as :class:`PeerLoss`; it needs
            ``sum_and_count``, and its optimum must be the softmax. None: cross-entropy.
        imbalance: how cross-entropy treats rare values, an option of :class:`mmleuk.models.attributes.imbalance.
            Imbalance`: ``none``, ``inverse_frequency``, ``sqrt_inverse_frequency`` or ``logit_adjustment``.
        owner: name of the head for messages.

    Raises:
        UserError: the schema is empty, a loss lacks a method, or an option is unknown.
    """

    def __init__(self, attributes: str | Mapping[str, object] | AttributeSchema, in_features: int, *,
                 hidden: Sequence[int] = (), dropout: float = 0.0, loss_binary: dict | None = None,
                 loss_softmax: dict | None = None, imbalance: str = 'none',
                 owner: str = 'AttributeClassifier') -> None:
        super().__init__()
        self.schema, self.owner = resolve_schema(attributes), owner
        if not len(self.schema):
            raise UserError(f'{owner}: needs at least one attribute; give attributes="leukemia" or a dict')
        self.logit_counts = tuple(1 if values == 2 and loss_binary is not None else values
                                  for values in self.schema.cardinalities)
        widths = (in_features, *hidden, sum(self.logit_counts))
        layers: list[nn.Module] = [nn.Linear(widths[0], widths[1])]
        for width_in, width_out in zip(widths[1:], widths[2:]):
            layers += [nn.LeakyReLU(NEGATIVE_SLOPE, inplace=True), nn.Dropout(dropout), nn.Linear(width_in, width_out)]
        self.layers = nn.Sequential(*layers)
        self.loss_binary = None if loss_binary is None else MODELS.build(loss_binary)
        if not all(hasattr(self.loss_binary, name) for name in ('sum_and_count', 'probability') if loss_binary):
            raise UserError(f'{owner}: loss_binary {type(self.loss_binary).__name__} has no sum_and_count and '
                            'probability; use mmleuk.AsymmetricLoss, a loss with both, or None for cross-entropy')

        self.loss_softmax = None if loss_softmax is None else MODELS.build(loss_softmax)
        if loss_softmax is not None and not hasattr(self.loss_softmax, 'sum_and_count'):
            raise UserError(f'{owner}: loss_softmax {type(self.loss_softmax).__name__} has no sum_and_count; use '
                            'mmleuk.PeerLoss, a loss with it, or None for cross-entropy')

        if imbalance != 'none' and (loss_softmax is not None or loss_binary is not None):
            raise UserError(f'{owner}: imbalance={imbalance!r} is an option of cross-entropy; leave it or loss_binary '
                            'and loss_softmax out')
        self.imbalance = None if imbalance == 'none' else Imbalance(self.schema.cardinalities, imbalance)

    def forward(self, features: Tensor) -> Tensor:
        """(N, D) -> logits (N, K)."""
        return self.layers(features)

    def checked_targets(self, counts: Sequence[int], attributes_per_image: Sequence[Tensor]) -> Tensor:
        """Attributes of all images' cells, (N, A) int64.

        Args:
            counts: number of cells per image.
            attributes_per_image: per image (N_b, A), IGNORE where unknown.

        Raises:
            UserError: rows or columns don't fit the cells or the schema.
        """
        for count, attributes in zip(counts, attributes_per_image):
            if attributes.shape != (count, len(self.schema)):
                raise UserError(f'{self.owner}: {count} cells come with attributes of shape {tuple(attributes.shape)}; '
                                f'the schema has {len(self.schema)} attributes ({", ".join(self.schema.keys)}); give '
                                f'the data set and {self.owner} the same schema')
        return torch.cat(list(attributes_per_image)).long()

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Mean over the known values of all attributes; 0 with a gradient graph if nothing is known.

        Args:
            logits: (N, K).
            targets: (N, A) int64, IGNORE where unknown.
        """
        if self.imbalance is not None and self.training:
            self.imbalance.count(targets)
        columns = zip(logits.split(self.logit_counts, 1), targets.unbind(1))
        total, known = zip(*[self._sum_and_count(index, *each) for index, each in enumerate(columns)])
        return sum(total) / sum(known).clamp(min=1)

    def _sum_and_count(self, index: int, column: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        if self.imbalance is not None:
            return self.imbalance.sum_and_count(index, column, target)
        if self.loss_binary is not None and column.shape[1] == 1:
            return self.loss_binary.sum_and_count(column[:, 0], target)
        if self.loss_softmax is not None:
            return self.loss_softmax.sum_and_count(column, target)
        return known_cross_entropy(column, target)

    def probabilities(self, logits: Tensor) -> list[Tensor]:
        """Logits (N, K) -> per attribute (N, V) float32, which add up to 1.

        A probability means a frequency. So logits are converted by the inverse of their loss:
        ``loss_binary.probability``, or the softmax for cross-entropy. With another loss the sigmoid
        of a logit would not be a frequency.
        """
        return [self._probability(column) for column in logits.float().split(self.logit_counts, 1)]

    def _probability(self, column: Tensor) -> Tensor:
        if self.loss_binary is not None and column.shape[1] == 1:
            present = self.loss_binary.probability(column)
            return torch.cat([1 - present, present], 1)
        return column.softmax(1)

    def decode(self, logits: Tensor) -> Tensor:
        """Logits (N, K) -> probabilities (N, A, Vmax) float32, zero beyond an attribute's own V."""
        widest = max(self.schema.cardinalities)
        return torch.stack([F.pad(column, (0, widest - column.shape[1])) for column in self.probabilities(logits)], 1)


def described_rows(attributes: Tensor) -> Tensor:
    """(N, A) values -> (N,) bool: cells with at least one known value."""
    return (attributes != IGNORE).any(1)
