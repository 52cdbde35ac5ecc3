"""Maximum mean discrepancy: by hand, as a distance, its gradient, and beside a recogniser's own loss."""

import math

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from mmleuk.errors import UserError
from mmleuk.models.losses.mmd_loss import MMDLoss, squared_mmd
from mmleuk.registry import MODELS
from mmleuk.schema import IGNORE

SCHEMA = {'hue': ['red', 'blue'], 'ring': ['no', 'yes']}
TINY = dict(type='mmdet.ResNet', depth=18, base_channels=8, num_stages=4, out_indices=(3,), frozen_stages=-1,
            norm_eval=False, norm_cfg=dict(type='GN', num_groups=4))


def test_by_hand():
    """0 against 2: the only squared distance is 4, so is the mean, and width 2 gives the kernel exp(-1/2)."""
    loss = squared_mmd(torch.tensor([[0.0]]), torch.tensor([[2.0]]), widths=(2.0,))
    assert loss.item() == pytest.approx(2 - 2 * math.exp(-0.5))


def test_by_hand_with_two_and_one():
    """0 and 2 against 4: squared distances 4, 16, 4; their mean is 8."""
    kernel = {distance: math.exp(-distance / 8) for distance in (4, 16)}
    within = (2 + 2 * kernel[4]) / 4
    across = (kernel[16] + kernel[4]) / 2
    loss = squared_mmd(torch.tensor([[0.0], [2.0]]), torch.tensor([[4.0]]), widths=(1.0,))
    assert loss.item() == pytest.approx(within + 1 - 2 * across)


def test_is_zero_for_equal_sets_symmetric_and_grows_with_the_distance():
    generator = torch.Generator().manual_seed(0)
    source, target = torch.randn(40, 6, generator=generator), torch.randn(30, 6, generator=generator)
    assert squared_mmd(source, source.flip(0)).item() == pytest.approx(0, abs=1e-6)
    assert squared_mmd(source, target).item() == pytest.approx(squared_mmd(target, source).item(), abs=1e-6)
    apart = [squared_mmd(source, target + shift).item() for shift in (0.0, 0.5, 1.0, 2.0)]
    assert apart == sorted(apart) and apart[0] < 0.1 < apart[-1]
    assert squared_mmd(10 * source, 10 * target + 20).item() == pytest.approx(apart[-1], rel=1e-4)  # scaling is no gain


def test_a_step_along_the_gradient_brings_the_domains_together():
    generator = torch.Generator().manual_seed(1)
    source = torch.randn(20, 3, generator=generator)
    target = (torch.randn(20, 3, generator=generator) + 1).requires_grad_()
    before = squared_mmd(source, target)
    before.backward()
    moved = (target - target.grad).detach()
    assert squared_mmd(source, moved) < before
    assert (moved.mean(0) - source.mean(0)).norm() < (target.mean(0) - source.mean(0)).norm()


@pytest.mark.parametrize('n, m', [(0, 3), (3, 0), (0, 0), (1, 1)])
def test_few_samples_have_a_finite_gradient(n, m):
    source, target = torch.ones(n, 2, requires_grad=True), torch.ones(m, 2, requires_grad=True)
    loss = MMDLoss()(source, target)
    loss.backward()
    assert loss.item() == 0
    assert torch.isfinite(source.grad).all() and torch.isfinite(target.grad).all()


def test_bad_widths():
    with pytest.raises(UserError, match='all positive'):
        MMDLoss(widths=(1.0, 0.0))


def build(**options):
    torch.manual_seed(0)
    return MODELS.build(dict(type='mmleuk.AttributeRecognizer', attributes=SCHEMA, crop_size=32, encoder=TINY,
                             dropout=0.0) | options)


def samples(domains):
    made = []
    for domain in domains:
        sample = DetDataSample(metainfo=dict(img_path='cell.png', **(dict(domain=domain) if domain else {})))
        values = [IGNORE, IGNORE] if domain else [1, 0]
        sample.gt_instances = InstanceData(attributes=torch.tensor([values]), labels=torch.tensor([0]))
        made.append(sample)
    return made


def test_recogniser_adds_it_between_labelled_and_other_domain():
    plain, adapted = build(), build(domain_loss=dict(type='mmleuk.MMDLoss', loss_weight=0.5))
    inputs, batch = torch.randn(4, 3, 32, 32), samples([None, 'target', None, 'target'])
    losses = adapted.loss(inputs, batch)
    features = adapted.extract_feat(inputs)
    assert losses['loss_domain'].item() == pytest.approx(0.5 * squared_mmd(features[::2], features[1::2]).item())
    assert losses['loss_attributes'].item() == pytest.approx(plain.loss(inputs, batch)['loss_attributes'].item())
    losses['loss_domain'].backward()
    assert any(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in adapted.extractor.parameters())
    assert 'loss_domain' not in plain.loss(inputs, batch)
