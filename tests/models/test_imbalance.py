"""Rare values in the loss: weights by hand, unknown values, the three shells, and what the options are for."""

import math

import pytest
import torch

from mmleuk.errors import UserError
from mmleuk.models.attributes.classifier import AttributeClassifier
from mmleuk.models.attributes.imbalance import OPTIONS, Imbalance, value_weights
from mmleuk.registry import MODELS
from mmleuk.schema import IGNORE

SCHEMA = {'size': ['small', 'big'], 'hue': ['red', 'blue', 'grey']}
TARGETS = torch.tensor([[0, 0], [0, 1], [0, IGNORE], [1, 1]])


@pytest.mark.parametrize('option, expected', [
    ('inverse_frequency', [4 / 6, 2.0, 0.0]),
    ('sqrt_inverse_frequency', [4 / (3 + math.sqrt(3)), 4 * math.sqrt(3) / (3 + math.sqrt(3)), 0.0])])
def test_weights_by_hand(option, expected):
    """Three cells of the first value and one of the second; the mean over the four cells is 1."""
    weights = value_weights(torch.tensor([3.0, 1.0, 0.0]), option)
    assert weights.tolist() == pytest.approx(expected, rel=1e-4)
    assert (weights * torch.tensor([3.0, 1.0, 0.0])).sum().item() == pytest.approx(4)


def test_no_cell_has_no_weight():
    assert value_weights(torch.zeros(3), 'inverse_frequency').tolist() == [0, 0, 0]


def test_the_loss_counts_in_training_only():
    torch.manual_seed(0)
    classifier = AttributeClassifier(SCHEMA, 4, imbalance='inverse_frequency')
    logits = torch.zeros(4, 5)
    loss = classifier.train().loss(logits, TARGETS)
    assert classifier.imbalance.counts.tolist() == [[3, 1, 0], [1, 2, 0]]
    # weights have a mean of 1, and all values of an attribute are equally probable
    assert loss.item() == pytest.approx((4 * math.log(2) + 3 * math.log(3)) / 7)
    assert classifier.eval().loss(logits, TARGETS).item() == pytest.approx(loss.item())
    assert classifier.imbalance.counts.sum() == 7


def _process(rank, folder):
    torch.distributed.init_process_group('gloo', init_method=f'file://{folder}/meeting', rank=rank, world_size=2)
    found = Imbalance([2, 3], 'inverse_frequency')
    found.count(torch.zeros(0, 2, dtype=torch.int64) if rank else TARGETS)
    found.count(TARGETS[:1] if rank else TARGETS[3:])
    torch.save(found.counts, f'{folder}/{rank}.pth')
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_processes_share_what_they_count(tmp_path):
    """One process counts the four cells and the last again, the other none and then the first."""
    torch.multiprocessing.spawn(_process, args=(tmp_path,), nprocs=2)
    for rank in range(2):
        assert torch.load(tmp_path / f'{rank}.pth').tolist() == [[4, 2, 0], [2, 3, 0]]


def test_logit_adjustment_by_hand():
    """With equal logits the loss is that of the frequencies 3/4 and 1/4."""
    found = Imbalance([2], 'logit_adjustment')
    found.count(TARGETS[:, :1])
    total, known = found.sum_and_count(0, torch.zeros(4, 2), TARGETS[:, 0])
    assert known == 4
    assert total.item() == pytest.approx(-3 * math.log(0.75) - math.log(0.25))


@pytest.mark.parametrize('option', OPTIONS[1:])
def test_all_unknown_is_zero_with_a_gradient(option):
    classifier = AttributeClassifier(SCHEMA, 4, imbalance=option).train()
    loss = classifier.loss(classifier(torch.ones(2, 4)), torch.full((2, 2), IGNORE))
    assert loss.item() == 0
    loss.backward()


@pytest.mark.parametrize('option', OPTIONS[1:])
def test_a_rare_value_is_found_more_often(option):
    """One of ten cells has the rare value; its feature overlaps with the others'."""
    draw = torch.Generator().manual_seed(0)
    targets = (torch.arange(1000) % 10 == 0).long().unsqueeze(1)
    features = targets + 0.8 * torch.randn(1000, 1, generator=draw)
    found = {}
    for each in ('none', option):
        torch.manual_seed(0)
        classifier = AttributeClassifier({'size': ['small', 'big']}, 1, imbalance=each).train()
        optimizer = torch.optim.Adam(classifier.parameters(), lr=0.1)
        for _ in range(150):
            optimizer.zero_grad()
            classifier.loss(classifier(features), targets).backward()
            optimizer.step()
        found[each] = classifier(features).argmax(1)[targets[:, 0] == 1].float().mean().item()
    assert found[option] > found['none'] + 0.2 - 0.15 * (option == 'sqrt_inverse_frequency')


@pytest.mark.parametrize('shell', [
    dict(type='mmleuk.AttriHead', in_channels=[8], featmap_strides=[4], loss_binary=None),
    dict(type='mmleuk.AttributeRecognizer', crop_size=32),
    dict(type='mmleuk.ConceptBottleneck', num_classes=2)])
def test_one_classifier_serves_the_three_shells(shell):
    model = MODELS.build(dict(shell, attributes=SCHEMA, imbalance='logit_adjustment'))
    assert type(model.classifier) is AttributeClassifier
    assert model.classifier.imbalance.option == 'logit_adjustment'
    assert MODELS.build(dict(shell, attributes=SCHEMA)).classifier.imbalance is None


@pytest.mark.parametrize('options, message', [
    (dict(imbalance='inverse'), "imbalance is 'inverse'; the options are none, inverse_frequency"),
    (dict(imbalance='inverse_frequency', loss_binary=dict(type='mmleuk.AsymmetricLoss')),
     'an option of cross-entropy')])
def test_bad_options(options, message):
    with pytest.raises(UserError, match=message):
        AttributeClassifier(SCHEMA, 4, **options)
