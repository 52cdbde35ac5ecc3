"""Mahalanobis distance to the nearest class."""

import torch

from mmleuk.models.attributes.novelty import Novelty


def test_equals_the_formula():
    generator = torch.Generator().manual_seed(0)
    types = torch.arange(200) % 2
    features = torch.randn(200, 3, generator=generator) * torch.tensor([1.0, 2.0, 0.5]) + 5 * types[:, None]
    novelty = Novelty(2, 3).fit(features, types, shrinkage=0.0)
    means = torch.stack([features[types == index].mean(0) for index in (0, 1)])
    centred = features - means[types]
    inverse = torch.linalg.inv(centred.T @ centred / len(features))
    steps = features[:5, None] - means
    expected = torch.einsum('ntd,de,nte->nt', steps, inverse, steps).sqrt().amin(1)
    torch.testing.assert_close(novelty(features[:5]), expected, rtol=1e-4, atol=1e-4)


def test_a_mean_is_no_news_and_a_far_cell_is():
    features = torch.randn(100, 4, generator=torch.Generator().manual_seed(1))
    novelty = Novelty(1, 4).fit(features, torch.zeros(100, dtype=torch.long))
    assert novelty(novelty.means).item() < 1e-4
    assert novelty(torch.full((1, 4), 50.0)).item() > novelty(features).max()
    assert novelty(features[:0]).shape == (0,)
