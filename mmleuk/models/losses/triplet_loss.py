"""SLA-Det's similarity loss between unsure predictions and labelled cells (LLD Eq. 8 to 11)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from mmleuk.errors import UserError
from mmleuk.registry import MODELS

Reading = Literal['text', 'printed']


def cosine_similarity(first: Tensor, second: Tensor, eps: float = 1e-12) -> Tensor:
    """Cosine similarity of each pair of rows, (M, D) and (N, D) -> (M, N) float32; 0 for a row of zeros.

    The M x N products are divided, not the features: that saves most of the time, also in the backward pass. Autocast
    is off here, since the undivided products of ten thousand features can exceed the range of float16.
    """
    with torch.autocast(first.device.type, enabled=False):
        first, second = first.float(), second.float()
        lengths = torch.linalg.vector_norm(first, dim=1)[:, None] * torch.linalg.vector_norm(second, dim=1)
        return first @ second.T / lengths.clamp(min=eps)


def similarity_extremes(features: Tensor, labels: Tensor, cell_features: Tensor,
                        cell_labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Min_Sim and Max_Sim of Eq. 8 and 9.

    Args:
        features: (M, D) of the unsure predictions.
        labels: (M,) int64, the predicted classes.
        cell_features: (N, D) of the labelled cells of the batch.
        cell_labels: (N,) int64.

    Returns:
        (M',) smallest cosine similarity to a cell of the same class, (M',) largest to a cell of another class, and
        (M,) bool, the M' predictions for which both exist.
    """
    similarity = cosine_similarity(features, cell_features)
    same = labels[:, None] == cell_labels[None]
    defined = same.any(1) & (~same).any(1)
    similarity, same = similarity[defined], same[defined]
    infinity = similarity.new_tensor(float('inf'))
    smallest = torch.where(same, similarity, infinity).amin(1) if len(same) else similarity.sum(1)
    largest = torch.where(same, -infinity, similarity).amax(1) if len(same) else similarity.sum(1)
    return smallest, largest, defined


def similarity_triplet(min_sim: Tensor, max_sim: Tensor, *, margin: float, reading: Reading) -> Tensor:
    """Per-prediction loss of Eq. 10, in either reading.

    'text': max(0, Max_Sim + margin - Min_Sim). It follows the paper's hypothesis: the least similar cell of
    the same class should be more similar, by the margin, than the most similar cell of another class.
    'printed': max(0, Min_Sim - (Max_Sim + margin)), Eq. 10 as printed and as in the authors' release. It
    penalises what the text asks for, and is here for comparison.

    >>> low, high = torch.tensor([0.2, 0.9]), torch.tensor([0.8, 0.1])
    >>> [round(value, 4) for value in similarity_triplet(low, high, margin=0.05, reading='text').tolist()]
    [0.65, 0.0]
    >>> [round(value, 4) for value in similarity_triplet(low, high, margin=0.05, reading='printed').tolist()]
    [0.0, 0.75]
    """
    gap = max_sim + margin - min_sim if reading == 'text' else min_sim - (max_sim + margin)
    return gap.clamp(0)


@MODELS.register_module()
class TripletLoss(nn.Module):
    """Mean similarity loss over the unsure predictions (LLD Eq. 11), times ``loss_weight``.

    A prediction is left out of the mean if the batch has no labelled cell of its class (no Min_Sim), or none of another
    class (no Max_Sim). mmdet registers another ``TripletLoss`` (re-identification): write ``mmleuk.TripletLoss``.

    Args:
        margin: 0.05 in the paper.
        reading: 'text' (default) or 'printed'; see :func:`similarity_triplet`.
        loss_weight: 0.1 in the paper (LLD 5.2).
    """

    def __init__(self, *, margin: float = 0.05, reading: Reading = 'text', loss_weight: float = 0.1) -> None:
        super().__init__()
        if reading not in ('text', 'printed'):
            raise UserError(f"TripletLoss.reading is 'text' or 'printed', got {reading!r}")
        self.margin = margin
        self.reading: Reading = reading
        self.loss_weight = loss_weight

    def forward(self, features: Tensor, labels: Tensor, cell_features: Tensor, cell_labels: Tensor) -> Tensor:
        """Arguments as of :func:`similarity_extremes`; a scalar, 0 if no prediction can be compared."""
        min_sim, max_sim, _ = similarity_extremes(features, labels, cell_features, cell_labels)
        per_prediction = similarity_triplet(min_sim, max_sim, margin=self.margin, reading=self.reading)
        return self.loss_weight * per_prediction.sum() / max(len(per_prediction), 1)
