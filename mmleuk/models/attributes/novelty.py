"""How far a cell's features lie from those of every type in training.

Legend: N cells, D features, C types.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Novelty(nn.Module):
    """Mahalanobis distance to the nearest type's mean, with one covariance for all types.

    Args:
        num_types: C.
        num_features: D.

    Before :meth:`fit` it is the Euclidean distance to the origin.

    Source: Lee et al., A Simple Unified Framework for Detecting Out-of-Distribution Samples, NeurIPS 2018, section 2.
    """

    means: Tensor
    whitening: Tensor

    def __init__(self, num_types: int, num_features: int) -> None:
        super().__init__()
        self.register_buffer('means', torch.zeros(num_types, num_features))
        self.register_buffer('whitening', torch.eye(num_features))

    @torch.no_grad()
    def fit(self, features: Tensor, types: Tensor, shrinkage: float = 0.01) -> Novelty:
        """Means and covariance of (N, D) features by type (N,).

        Args:
            features, types: at least one cell of every type.
            shrinkage: share of the mean variance that is added to the diagonal: features can depend on each other.
        """
        features = features.double()
        means = torch.stack([features[types == index].mean(0) for index in range(len(self.means))])
        centred = features - means[types]
        covariance = centred.T @ centred / len(features)
        covariance += shrinkage * covariance.diagonal().mean() * torch.eye(len(covariance), dtype=torch.float64)
        self.means.copy_(means)
        self.whitening.copy_(torch.linalg.inv(torch.linalg.cholesky(covariance)).T)
        return self

    def forward(self, features: Tensor) -> Tensor:
        """(N, D) -> distances (N,), >= 0."""
        differences = (features @ self.whitening)[:, None] - self.means @ self.whitening
        return torch.linalg.vector_norm(differences, dim=2).amin(1)
