"""AsymmetricLoss against numbers worked by hand and a loop in numpy."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmleuk.errors import UserError
from mmleuk.models.losses.asymmetric_loss import AsymmetricLoss, asymmetric_loss, known_cross_entropy
from mmleuk.registry import MODELS
from mmleuk.schema import IGNORE

LOG3 = math.log(3)  # the logit of probability 3/4


def by_loop(logits, targets, gamma_neg, gamma_pos, clip):
    """Ridnik's equations, value by value, in double precision."""
    total, known = 0.0, 0
    for x, y in zip(np.ravel(logits), np.ravel(targets)):
        if y == IGNORE:
            continue
        known += 1
        p = 1 / (1 + math.exp(-x))
        shifted = max(p - clip, 0)
        total += -(1 - p) ** gamma_pos * math.log(p) if y == 1 else -shifted ** gamma_neg * math.log(1 - shifted)
    return total, known


@pytest.mark.parametrize('logit, target, expected', [
    (LOG3, 1, 0.25 * math.log(4 / 3)),             # (1 - 3/4)^1 * -log(3/4)
    (-LOG3, 1, 0.75 * math.log(4)),                # (1 - 1/4)^1 * -log(1/4)
    (LOG3, 0, 0.67 ** 4 * -math.log(0.33)),        # p_m = 0.75 - 0.08
    (-LOG3, 0, 0.17 ** 4 * -math.log(0.83)),       # p_m = 0.25 - 0.08
    (-3.0, 0, 0.0),                                # p = 0.047 < clip: an easy absence costs nothing
    (LOG3, IGNORE, 0.0)])
def test_one_value_by_hand(logit, target, expected):
    total, known = asymmetric_loss(torch.tensor([logit]), torch.tensor([target]))
    assert total.item() == pytest.approx(expected, rel=1e-5)
    assert known.item() == (target != IGNORE)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10 ** 6), gamma_neg=st.floats(0, 5), gamma_pos=st.floats(0, 3),
       clip=st.sampled_from([0.0, 0.05, 0.08, 0.3]))
def test_agrees_with_a_loop(seed, gamma_neg, gamma_pos, clip):
    rng = np.random.default_rng(seed)
    logits, targets = rng.normal(0, 3, (5, 6)), rng.integers(-1, 2, (5, 6))
    total, known = asymmetric_loss(torch.tensor(logits, dtype=torch.float32), torch.tensor(targets),
                                   gamma_neg=gamma_neg, gamma_pos=gamma_pos, clip=clip)
    expected, count = by_loop(logits, targets, gamma_neg, gamma_pos, clip)
    assert total.item() == pytest.approx(expected, rel=1e-4, abs=1e-6) and known.item() == count


def test_without_focus_it_is_binary_cross_entropy():
    logits, targets = torch.randn(7, 3), torch.randint(0, 2, (7, 3))
    total, _ = asymmetric_loss(logits, targets, gamma_neg=0, gamma_pos=0, clip=0)
    torch.testing.assert_close(
        total, torch.nn.functional.binary_cross_entropy_with_logits(logits, targets.float(), reduction='sum'))


def test_gradient_pushes_towards_the_truth():
    logits = torch.zeros(3, requires_grad=True)
    AsymmetricLoss()(logits, torch.tensor([1, 0, IGNORE])).backward()
    present, absent, unknown = logits.grad.tolist()
    assert present < 0 < absent and unknown == 0


@pytest.mark.parametrize('logit', [-200.0, 200.0])
@pytest.mark.parametrize('target', [0, 1])
@pytest.mark.parametrize('clip', [0.0, 0.08])
def test_extreme_logits_stay_finite(logit, target, clip):
    logits = torch.tensor([logit], requires_grad=True)
    loss = AsymmetricLoss(clip=clip)(logits, torch.tensor([target]))
    loss.backward()
    assert loss.isfinite() and logits.grad.isfinite().all()


@pytest.mark.parametrize('shape', [(0, 6), (4, 6)])
def test_nothing_known_is_zero_with_a_gradient(shape):
    logits = torch.randn(shape, requires_grad=True)
    loss = AsymmetricLoss()(logits, torch.full(shape, IGNORE))
    loss.backward()
    assert loss.item() == 0 and (logits.grad == 0).all()


def test_mean_over_known_values_only():
    logits, targets = torch.zeros(2, 2), torch.tensor([[1, IGNORE], [IGNORE, 1]])
    assert AsymmetricLoss()(logits, targets).item() == pytest.approx(0.5 * math.log(2))
    assert AsymmetricLoss(loss_weight=2.0)(logits, targets).item() == pytest.approx(math.log(2))


def test_module_equals_function_and_repeats():
    logits, targets = torch.randn(4, 6), torch.randint(-1, 2, (4, 6))
    before = logits.clone(), targets.clone()
    module = MODELS.build(dict(type='mmleuk.AsymmetricLoss'))
    first, second = module(logits, targets), module(logits, targets)
    total, known = asymmetric_loss(logits, targets)
    assert first == second == total / known
    assert torch.equal(logits, before[0]) and torch.equal(targets, before[1])


def test_computes_in_float32():
    total, _ = asymmetric_loss(torch.zeros(3, dtype=torch.bfloat16), torch.ones(3, dtype=torch.int64))
    assert total.dtype == torch.float32


def test_cross_entropy_over_known_values():
    logits = torch.tensor([[0.0, 0.0, 0.0], [5.0, 1.0, 2.0]], requires_grad=True)
    total, known = known_cross_entropy(logits, torch.tensor([2, IGNORE]))
    assert total.item() == pytest.approx(math.log(3)) and known.item() == 1
    total, known = known_cross_entropy(logits, torch.tensor([IGNORE, IGNORE]))
    total.backward()
    assert total.item() == 0 and known.item() == 0 and (logits.grad == 0).all()


@pytest.mark.parametrize('gammas', [dict(gamma_pos=0.5), dict(gamma_neg=0.5), dict(gamma_neg=0.0, gamma_pos=0.0)])
def test_gradients_of_small_exponents_stay_finite(gammas):
    """Values that are learnt so well that a float32 sigmoid is 0 or 1, or below the clip."""
    logits = torch.tensor([-40.0, -5.0, 0.0, 5.0, 40.0, 1e4, -1e4] * 2, requires_grad=True)
    total, _ = asymmetric_loss(logits, torch.tensor([1] * 7 + [0] * 7), **gammas)
    total.backward()
    assert total.isfinite() and logits.grad.isfinite().all()


def test_bad_settings_and_shapes():
    with pytest.raises(UserError, match='clip'):
        AsymmetricLoss(clip=1.0)
    with pytest.raises(UserError, match='gamma'):
        AsymmetricLoss(gamma_neg=-1)
    with pytest.raises(ValueError, match='differ in shape'):
        asymmetric_loss(torch.zeros(3), torch.zeros(2, dtype=torch.int64))


@pytest.mark.parametrize('gamma_neg, gamma_pos, clip', [
    (4, 1, 0.08), (2, 2, 0), (0, 0, 0), (1, 1, 0.2), (3.5, 0.5, 0.05)])
def test_probability_is_the_inverse_of_the_losses_optimum(gamma_neg, gamma_pos, clip):
    """The logit that brute force finds best where a share of the cells has value 1 reads as that share."""
    loss = AsymmetricLoss(gamma_neg=gamma_neg, gamma_pos=gamma_pos, clip=clip)
    logits = np.linspace(-8, 8, 16001)
    p = 1 / (1 + np.exp(-logits))
    shifted = np.maximum(p - clip, 0)
    of_one, of_zero = -(1 - p) ** gamma_pos * np.log(p), -shifted ** gamma_neg * np.log(1 - shifted)
    for share in (0.02, 0.113, 0.3, 0.5, 0.8, 0.98):
        best = logits[np.argmin(share * of_one + (1 - share) * of_zero)]
        assert loss.probability(torch.tensor([best])).item() == pytest.approx(share, abs=2e-3)


def test_the_papers_loss_leans_to_value_1():
    """A sigmoid of 0.659 stands for a half, one of 0.5 for 0.113, and below the clip for nothing."""
    read = AsymmetricLoss().probability(torch.tensor([0.659, 0.5, 0.07]).logit())
    assert read.tolist() == pytest.approx([0.5, 0.113, 0.0], abs=2e-3)


@pytest.mark.parametrize('options', [{}, dict(gamma_neg=0, gamma_pos=0, clip=0), dict(gamma_neg=0.5, gamma_pos=0.5)])
def test_probabilities_grow_with_the_logit_and_stay_finite(options):
    logits = torch.tensor([-math.inf, -500.0, *torch.linspace(-20, 20, 401).tolist(), 500.0, math.inf])
    read = AsymmetricLoss(**options).probability(logits)
    assert read.dtype == torch.float32 and ((read >= 0) & (read <= 1)).all()
    assert (read.diff() >= 0).all() and read[0] < 1e-9 and read[-1] > 1 - 1e-5
