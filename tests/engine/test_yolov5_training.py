"""YOLOv5's parameter groups, schedule and summed gradients, against numbers worked by hand."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.runner import EpochBasedTrainLoop
from torch import nn

from mmleuk.engine import YOLOv5EMAHook, YOLOv5OptimWrapper, YOLOv5OptimWrapperConstructor, YOLOv5WarmupHook
from mmleuk.engine.optim_wrapper import AmpOptimWrapper, YOLOv5AmpOptimWrapper
from mmleuk.engine.yolov5_schedule import epoch_factor, yolov5_param_groups
from mmleuk.errors import UserError
from mmleuk.models.dense_heads.yolov5_head import YOLOv5Head

OPTIMIZER = dict(type='SGD', lr=0.01, momentum=0.937, weight_decay=5e-4, nesterov=True)


def model():
    return nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))


def wrapper_of(net, kind='mmleuk.YOLOv5OptimWrapper'):
    return YOLOv5OptimWrapperConstructor(dict(type=kind, optimizer=OPTIMIZER))(net)


def runner_of(wrapper, iters_per_epoch=50, batch_size=4, world_size=1, max_epochs=100):
    """As much of a runner as the hook reads."""
    loop = EpochBasedTrainLoop.__new__(EpochBasedTrainLoop)

    class Loader(list):
        batch_sampler = SimpleNamespace(batch_size=batch_size)
    Loader.batch_size = batch_size
    return SimpleNamespace(
        optim_wrapper=wrapper, param_schedulers=None, train_loop=loop,
        train_dataloader=Loader([None] * iters_per_epoch), world_size=world_size, max_epochs=max_epochs, epoch=0,
        iter=0, logger=MMLogger.get_instance('schedule'))


def at(hook, runner, iteration):
    runner.iter = iteration
    runner.epoch, batch_idx = divmod(iteration, len(runner.train_dataloader))
    hook.before_train_iter(runner, batch_idx)
    return {group['name']: group for group in runner.optim_wrapper.optimizer.param_groups}


def test_three_groups_hold_each_parameter_once():
    net = model()
    net.frozen = nn.Conv2d(1, 1, 1).requires_grad_(False)
    net.twin = net[0]
    groups = {group['name']: group['params'] for group in yolov5_param_groups(net)}
    assert [p.shape for p in groups['decay']] == [(4, 3, 1, 1), (2, 4, 1, 1)]
    assert groups['norm'] == [net[1].weight]
    assert groups['bias'] == [net[1].bias, net[2].bias]


def test_only_convolutions_decay_and_the_optimizer_is_nesterov():
    groups = {g['name']: g for g in wrapper_of(model()).optimizer.param_groups}
    assert {name: g['weight_decay'] for name, g in groups.items()} == {'decay': 5e-4, 'norm': 0.0, 'bias': 0.0}
    assert all(g['nesterov'] for g in groups.values())


def test_bad_settings_are_refused():
    with pytest.raises(UserError, match='paramwise_cfg'):
        YOLOv5OptimWrapperConstructor(dict(optimizer=OPTIMIZER), dict(norm_decay_mult=0))
    with pytest.raises(UserError, match='no parameter'):
        wrapper_of(model().requires_grad_(False))
    with pytest.raises(UserError, match='linear or cosine'):
        YOLOv5WarmupHook(decay='cosin')


@pytest.mark.parametrize('batch, world, accumulate, decay_scale', [
    (4, 1, 16, 1.0),  # 4 * 16 / 64
    (4, 2, 8, 1.0),
    (6, 1, 11, 66 / 64),  # round(64 / 6 = 10.67) = 11 batches of 6
    (128, 1, 1, 2.0),
])
def test_batches_per_update_and_weight_decay(batch, world, accumulate, decay_scale):
    runner = runner_of(wrapper_of(model()), batch_size=batch, world_size=world)
    hook = YOLOv5WarmupHook()
    hook.before_run(runner)
    for _ in range(2):  # a second call, as after resuming, must not scale again
        hook.before_train(runner)
    assert hook.accumulate == accumulate
    assert at(hook, runner, 0)['decay']['weight_decay'] == pytest.approx(5e-4 * decay_scale)
    at(hook, runner, 10_000)
    assert runner.optim_wrapper.accumulate == accumulate


def test_no_nominal_batch_means_no_accumulation_and_no_scaling():
    runner = runner_of(wrapper_of(model()))
    hook = YOLOv5WarmupHook(nominal_batch=None)
    hook.before_run(runner)
    hook.before_train(runner)
    assert at(hook, runner, 10_000)['decay']['weight_decay'] == 5e-4
    assert runner.optim_wrapper.accumulate == 1


def test_warm_up_by_hand():
    """50 iterations per epoch: 150 of warm-up. At 75, epoch 1 of 100: factor 0.99 * 0.99 + 0.01 = 0.9901."""
    runner = runner_of(wrapper_of(model()))
    hook = YOLOv5WarmupHook()
    hook.before_run(runner)
    hook.before_train(runner)
    assert hook.warmup_iters == 150
    start = at(hook, runner, 0)
    assert (start['decay']['lr'], start['norm']['lr'], start['bias']['lr']) == (0.0, 0.0, pytest.approx(0.1))
    assert start['decay']['momentum'] == pytest.approx(0.8) and runner.optim_wrapper.accumulate == 1
    half = at(hook, runner, 75)
    assert half['decay']['lr'] == pytest.approx(0.5 * 0.01 * 0.9901)
    assert half['bias']['lr'] == pytest.approx(0.5 * 0.1 + 0.5 * 0.01 * 0.9901)
    assert half['decay']['momentum'] == pytest.approx((0.8 + 0.937) / 2)
    assert runner.optim_wrapper.accumulate == 8  # round(1 + 15 / 2 = 8.5), half to even
    after = at(hook, runner, 150)  # epoch 3
    assert after['decay']['lr'] == after['bias']['lr'] == pytest.approx(0.01 * (0.97 * 0.99 + 0.01))
    assert after['bias']['momentum'] == pytest.approx(0.937) and runner.optim_wrapper.accumulate == 16


def test_warm_up_is_at_least_its_floor_long_and_scales_with_the_learning_rate():
    wrapper = wrapper_of(model())
    for group in wrapper.optimizer.param_groups:
        group['lr'] *= 0.5  # --auto-scale-lr
    runner = runner_of(wrapper, iters_per_epoch=10)
    hook = YOLOv5WarmupHook()
    hook.before_run(runner)
    for group in wrapper.optimizer.param_groups:
        group['lr'] = 123.0  # a resumed state
    hook.before_train(runner)
    assert hook.warmup_iters == 100
    assert at(hook, runner, 0)['bias']['lr'] == pytest.approx(0.05)
    assert at(hook, runner, 100)['decay']['lr'] == pytest.approx(0.005 * (0.9 * 0.99 + 0.01))


def test_decay_ends_at_the_final_factor():
    assert epoch_factor(0, 10, 0.01, 'linear') == epoch_factor(0, 10, 0.01, 'cosine') == 1.0
    assert epoch_factor(10, 10, 0.01, 'linear') == pytest.approx(0.01)
    assert epoch_factor(10, 10, 0.01, 'cosine') == pytest.approx(0.01)
    assert epoch_factor(5, 10, 0.2, 'cosine') == pytest.approx(0.6)


def test_wrong_company_is_refused():
    runner = runner_of(wrapper_of(model(), 'OptimWrapper'))
    with pytest.raises(UserError, match='YOLOv5OptimWrapper'):
        YOLOv5WarmupHook().before_run(runner)
    runner = runner_of(wrapper_of(model()))
    runner.param_schedulers = [object()]
    with pytest.raises(UserError, match='param_scheduler=None'):
        YOLOv5WarmupHook().before_run(runner)


def test_gradients_sum_over_batches_and_the_epochs_end_updates():
    weight = nn.Parameter(torch.zeros(1))
    wrapper = YOLOv5OptimWrapper(torch.optim.SGD([weight], lr=1.0))
    wrapper.accumulate = 3
    seen = []
    for step in range(5):
        wrapper.is_last_of_epoch = step == 4
        assert wrapper.should_sync() is (step in (2, 4))
        wrapper.update_params(weight.sum() * 1.0)
        seen.append((wrapper.updated, weight.item()))
    assert seen == [(False, 0.0), (False, 0.0), (True, -3.0), (False, -3.0), (True, -5.0)]


def test_gradients_of_mean_losses_are_means_over_the_batches_of_each_update():
    """Three batches, then the two that are left at the epoch's end: each update has the batches' mean gradient."""
    weight = nn.Parameter(torch.zeros(1))
    wrapper = YOLOv5OptimWrapper(torch.optim.SGD([weight], lr=1.0))
    wrapper.accumulate, wrapper.loss_is_sum = 3, False
    seen = []
    for step, gradient in enumerate((1.0, 2.0, 6.0, 1.0, 3.0)):
        wrapper.is_last_of_epoch = step == 4
        wrapper.update_params(weight.sum() * gradient)
        seen.append(weight.item())
    assert seen == [0.0, 0.0, -3.0, -3.0, -5.0]


@pytest.mark.parametrize(('sums', 'expected'), [(True, -12.0), (False, -1.0)])
def test_losses_are_multiplied_by_the_processes_where_they_are_sums_over_images(monkeypatch, sums, expected):
    """YOLOv5's of four processes and three batches of gradient 1: 12; a mean loss's stays 1."""
    monkeypatch.setattr('mmleuk.engine.optim_wrapper.get_world_size', lambda: 4)
    net = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False))
    if sums:
        net.append(YOLOv5Head(num_classes=1, in_channels=(2,) * 3))
    nn.init.zeros_(net[0].weight)
    plain = dict(type='SGD', lr=1.0)
    wrapper = YOLOv5OptimWrapperConstructor(dict(type='mmleuk.YOLOv5OptimWrapper', optimizer=plain))(net)
    wrapper.accumulate = 3
    for _ in range(3):
        wrapper.update_params(net[0].weight.sum() * 1.0)
    assert net[0].weight.item() == pytest.approx(expected)


@pytest.mark.skipif(torch.cuda.is_available(), reason='on a GPU it is mmengine\'s own')
@pytest.mark.parametrize('kind', [AmpOptimWrapper, YOLOv5AmpOptimWrapper])
def test_mixed_precision_on_cpu_is_bfloat16_and_saves_its_state(kind):
    layer = nn.Linear(4, 4)
    wrapper = kind(optimizer=torch.optim.SGD(layer.parameters(), lr=0.1))
    with wrapper.optim_context(layer):
        out = layer(torch.ones(1, 4))
    assert out.dtype is torch.bfloat16
    before = layer.weight.clone()
    wrapper.update_params(out.float().sum())
    assert not torch.equal(layer.weight, before) and layer.weight.dtype is torch.float32
    state = wrapper.state_dict()
    kind(optimizer=torch.optim.SGD(layer.parameters(), lr=0.1)).load_state_dict(state)


@pytest.mark.skipif(torch.cuda.is_available(), reason='CPU autocast')
def test_roi_align_and_nms_run_under_cpu_autocast():
    from mmcv.ops import RoIAlign, nms
    layer = nn.Linear(1, 1)
    AmpOptimWrapper(optimizer=torch.optim.SGD(layer.parameters(), lr=0.1))
    boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 4.0]])
    with torch.autocast('cpu', torch.bfloat16):
        features = nn.Conv2d(1, 2, 1)(torch.rand(1, 1, 8, 8)).requires_grad_()
        assert features.dtype is torch.bfloat16
        pooled = RoIAlign(2, 1.0)(features, torch.cat([torch.zeros(2, 1), boxes], 1))
        kept, _ = nms(boxes.bfloat16(), torch.tensor([0.5, 0.25]).bfloat16(), 0.5)
    pooled.sum().backward()
    assert len(kept) == 1 and pooled.shape == (2, 2, 2, 2)


@pytest.mark.skipif(torch.cuda.is_available(), reason='CPU autocast')
def test_rois_are_pooled_from_a_pyramid_in_float32_under_cpu_autocast():
    """bfloat16 has 8 bits: it would pool the box of x = 257 at 256."""
    from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
    extractor = SingleRoIExtractor(dict(type='RoIAlign', output_size=2, sampling_ratio=1), 1, [8, 16], finest_scale=28)
    layer = nn.Linear(1, 1)
    AmpOptimWrapper(optimizer=torch.optim.SGD(layer.parameters(), lr=0.1))
    columns = torch.arange(40.0).expand(1, 1, 40, 40)  # bfloat16 has these numbers
    maps = [columns.bfloat16().requires_grad_(), columns[..., ::2, ::2].bfloat16().requires_grad_()]
    rois = torch.tensor([[0.0, 257.0, 8.0, 289.0, 40.0], [0.0, 8.0, 8.0, 168.0, 168.0]])
    with torch.autocast('cpu', torch.bfloat16):
        pooled = extractor(maps, rois)
    assert pooled.dtype is torch.float32
    # level 0: bins of 16 px, centres at 265 and 281 px, the map's pixel i at 8 i + 4 px
    assert pooled[0, 0, 0].tolist() == pytest.approx([(265 - 4) / 8, (281 - 4) / 8])
    # level 1: bins of 80 px, centres at 48 and 128 px, pixel i at 16 i + 8 px with the value 2 i
    assert pooled[1, 0, 0].tolist() == pytest.approx([2 * (48 - 8) / 16, 2 * (128 - 8) / 16])
    pooled.sum().backward()
    assert [feature.grad.sum().item() for feature in maps] == [4, 4]  # the weights of each of four bins add up to one


def test_average_follows_yolov5s_formula_once_per_update():
    """d = 0.9999 (1 - exp(-updates / 2000)); mmengine copies at the first update."""
    net = nn.BatchNorm1d(1)
    net.weight.data.fill_(1.0)
    wrapper = SimpleNamespace(updated=True)
    runner = SimpleNamespace(model=net, optim_wrapper=wrapper, max_iters=100, iter=0)
    hook = YOLOv5EMAHook()
    hook.before_run(runner)
    net.weight.data.fill_(2.0)  # initialised or loaded after the copy
    hook.before_train(runner)
    assert hook.ema_model.module.weight.item() == 2.0
    hook.after_train_iter(runner, 0)
    net.weight.data.fill_(4.0)
    net.running_mean.fill_(8.0)
    wrapper.updated = False
    hook.after_train_iter(runner, 1)
    assert hook.ema_model.module.weight.item() == 2.0
    wrapper.updated = True
    hook.after_train_iter(runner, 2)
    d = 0.9999 * (1 - torch.exp(torch.tensor(-2 / 2000)).item())
    assert hook.ema_model.module.weight.item() == pytest.approx(d * 2 + (1 - d) * 4, rel=1e-6)
    assert hook.ema_model.module.running_mean.item() == pytest.approx((1 - d) * 8, rel=1e-6)
