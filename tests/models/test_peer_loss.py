"""Peer loss by hand, its gradient, and its place in the classifier."""

import math

import pytest
import torch
import torch.nn.functional as F

from mmleuk.errors import UserError
from mmleuk.models.attributes.classifier import AttributeClassifier
from mmleuk.models.losses.peer_loss import PeerLoss, peer_loss
from mmleuk.schema import IGNORE

# softmax gives 0.8, 0.2 and 0.5, 0.5
LOGITS = torch.tensor([[math.log(4.0), 0.0], [0.0, 0.0]])


def test_by_hand():
    """Own: ln(1/0.8) + ln 2. Others: labels are half 0 and half 1, so the mean of each row's two costs."""
    own = math.log(1 / 0.8) + math.log(2)
    others = (math.log(1 / 0.8) + math.log(1 / 0.2)) / 2 + math.log(2)
    total, known = peer_loss(LOGITS, torch.tensor([0, 1]), alpha=0.5)
    assert (total.item(), known.item()) == (pytest.approx(own - 0.5 * others), 2)


def test_second_term_is_the_mean_over_all_pairs():
    generator = torch.Generator().manual_seed(0)
    logits, targets = torch.randn(7, 4, generator=generator), torch.randint(0, 4, (7,), generator=generator)
    pairs = torch.stack([F.cross_entropy(row[None], label[None]) for row in logits for label in targets]).mean()
    total, known = peer_loss(logits, targets, alpha=1.0)
    assert (total / known).item() == pytest.approx((F.cross_entropy(logits, targets) - pairs).item(), abs=1e-5)


def test_without_alpha_it_is_cross_entropy_of_the_known():
    logits, targets = torch.randn(5, 3), torch.tensor([0, IGNORE, 2, IGNORE, 1])
    assert PeerLoss(alpha=0.0)(logits, targets).item() == pytest.approx(
        F.cross_entropy(logits, targets, ignore_index=IGNORE).item(), abs=1e-6)


def test_direction_of_the_gradient():
    """A step along -grad raises each label's probability, and a constant prediction gains nothing."""
    logits = torch.zeros(4, 2, requires_grad=True)
    targets = torch.tensor([0, 0, 1, 1])
    peer_loss(logits, targets, alpha=1.0)[0].backward()
    stepped = (logits - logits.grad).softmax(1)
    assert (stepped.gather(1, targets[:, None]) > 0.5).all()
    constant = torch.zeros(1, 2, requires_grad=True)  # the same prediction for all: own and others' costs are equal
    peer_loss(constant.expand(4, 2), torch.tensor([0, 0, 0, 1]), alpha=1.0)[0].backward()
    assert constant.grad.abs().max().item() < 1e-6


def test_is_bounded_where_a_prediction_is_certain():
    total, known = peer_loss(torch.tensor([[100.0, -100.0], [-100.0, 100.0]]), torch.tensor([0, 1]), alpha=1.0)
    assert (total / known).item() == pytest.approx(math.log(1e-8) / 2, rel=1e-5)


@pytest.mark.parametrize('logits, targets', [(torch.zeros(0, 3), []), (torch.zeros(2, 3), [IGNORE, IGNORE])])
def test_nothing_known_is_zero_with_a_gradient(logits, targets):
    logits = logits.clone().requires_grad_()
    loss = PeerLoss()(logits, torch.tensor(targets, dtype=torch.int64))
    loss.backward()
    assert loss.item() == 0 and logits.grad.abs().sum() == 0


def test_calling_twice_gives_the_same_and_changes_no_input():
    logits, targets = LOGITS.clone(), torch.tensor([0, 1])
    assert PeerLoss()(logits, targets) == PeerLoss()(logits, targets)
    assert torch.equal(logits, LOGITS)


def test_classifier_uses_it_for_attributes_with_a_logit_per_value():
    schema = {'hue': ['red', 'blue', 'grey'], 'ring': ['no', 'yes']}
    plain = AttributeClassifier(schema, 4)
    peer = AttributeClassifier(schema, 4, loss_softmax=dict(type='mmleuk.PeerLoss', alpha=0.3))
    logits, targets = torch.randn(6, 5), torch.tensor([[0, 1], [1, 0], [2, 1], [IGNORE, 0], [0, IGNORE], [1, 1]])
    sums = [peer_loss(logits[:, :3], targets[:, 0], 0.3), peer_loss(logits[:, 3:], targets[:, 1], 0.3)]
    assert peer.loss(logits, targets).item() == pytest.approx(sum(s.item() for s, _ in sums) / 10, abs=1e-6)
    assert peer.loss(logits, targets) < plain.loss(logits, targets)
    assert torch.equal(peer.decode(logits), plain.decode(logits))


def test_bad_settings():
    with pytest.raises(UserError, match='alpha is -1'):
        PeerLoss(alpha=-1)
    with pytest.raises(UserError, match='L1Loss has no sum_and_count'):
        AttributeClassifier({'hue': ['red', 'blue']}, 4, loss_softmax=dict(type='mmdet.L1Loss'))
