"""How alike labelled cells are: worked by hand, and beside the loss."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmdet.registry import MODELS
from mmdet.structures.bbox import bbox2roi
from mmengine.registry import init_default_scope
from small_attri_det import ATTRI_DET, DETECTOR

from mmleuk.errors import UserError
from mmleuk.evaluation.similarities import (
    Similarities,
    attribute_features,
    neck_features,
    see_batch,
    similarities_among,
)
from mmleuk.models.losses.triplet_loss import similarity_extremes
from mmleuk.report.similarities import similarity_plot


def on_circle(*degrees):
    return torch.tensor([[math.cos(math.radians(angle)), math.sin(math.radians(angle))] for angle in degrees])


def test_two_types_worked_by_hand():
    found = similarities_among(on_circle(0, 10, 80, 90, 30), torch.tensor([0, 0, 1, 1, 2]))  # the last is alone
    cos = [math.cos(math.radians(angle)) for angle in range(91)]
    assert found.labels.tolist() == [0, 0, 1, 1]
    assert found.least_same.tolist() == pytest.approx([cos[10]] * 4)
    assert found.most_other.tolist() == pytest.approx([cos[30], cos[20], cos[50], cos[60]], abs=1e-6)
    assert found.satisfied == found.nearest_right == 1.0


def test_shares_are_means_over_types():
    found = Similarities(least_same=torch.tensor([0.1, 0.9, 0.9, 0.1]), most_other=torch.full((4,), 0.5),
                         most_same=torch.tensor([0.9, 0.9, 0.9, 0.4]), labels=torch.tensor([0, 0, 0, 1]))
    assert found.satisfied == pytest.approx((2 / 3 + 0) / 2)
    assert found.nearest_right == pytest.approx(0.5)


@given(st.integers(0, 2 ** 31 - 1))
def test_they_are_those_of_the_loss_for_a_cell_that_is_no_label(seed):
    generator = torch.Generator().manual_seed(seed)
    features, labels = torch.randn(6, 4, generator=generator), torch.randint(0, 3, (6,), generator=generator)
    found = similarities_among(features, labels)
    expected = [similarity_extremes(features[[i]], labels[[i]], features[others], labels[others])
                for i in range(6) for others in [[j for j in range(6) if j != i]]]
    low, high = (torch.cat([one[k] for one in expected]) for k in (0, 1))
    assert torch.allclose(found.least_same, low, atol=1e-6) and torch.allclose(found.most_other, high, atol=1e-6)


@pytest.mark.parametrize('labels', [[], [0], [0, 0], [0, 1]])
def test_without_partners_there_is_nothing_to_compare(labels):
    found = similarities_among(torch.ones(len(labels), 2), torch.tensor(labels, dtype=torch.long))
    assert len(found.least_same) == len(found.labels) == 0 and math.isnan(found.satisfied)
    assert similarity_plot({'none': found}).startswith(b'\x89PNG')


BOXES = [torch.tensor([[4., 8., 40., 50.], [20., 20., 60., 64.]]), torch.tensor([[0., 0., 30., 30.]])]


def see_noise(model):
    init_default_scope('mmdet')
    torch.manual_seed(0)
    built = MODELS.build(model).eval()
    images = torch.rand(2, 3, 96, 96)
    with torch.no_grad():
        return built, images, see_batch(built, images, bbox2roi(BOXES))


def test_attributes_follow_linearly_from_the_attribute_features():
    model, images, seen = see_noise(ATTRI_DET)
    with torch.no_grad(), model.taps.open():
        model.extract_feat(images)
        logits = model.attri_head(model.taps.take(), BOXES)
        assert torch.allclose(model.attri_head.classifier.layers[-1](attribute_features(seen)), logits, atol=1e-6)


def test_features_of_the_neck_are_one_row_per_cell():
    _, _, seen = see_noise(DETECTOR)
    assert neck_features(0, (8, 16), 5)(seen).shape == (3, 2 * 16 * 25)
    assert neck_features(2, (32,), 1)(seen).shape == (3, 16)


def test_a_model_without_attributes_has_no_attribute_features():
    with pytest.raises(UserError, match='FCOS has no AttriHead; give the config of one'):
        attribute_features(see_noise(DETECTOR)[2])
