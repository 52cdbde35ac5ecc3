"""YOLOv5's training: three parameter groups, warm-up and decay per epoch, accumulation, the average of weights."""

from __future__ import annotations

import math
from typing import Any, Literal, cast

import numpy as np
from mmengine.hooks import EMAHook, Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS, OPTIMIZERS
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmengine.utils.dl_utils.parrots_wrapper import _BatchNorm, _InstanceNorm
from torch import nn

from mmleuk.engine.optim_wrapper import SummedGradients
from mmleuk.errors import UserError
from mmleuk.models.dense_heads.yolov5_head import YOLOv5Head
from mmleuk.registry import HOOKS, OPTIM_WRAPPER_CONSTRUCTORS

_NORMS = (_BatchNorm, _InstanceNorm, nn.GroupNorm, nn.LayerNorm)


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class YOLOv5OptimWrapperConstructor:
    """Split parameters into ``decay``, ``norm`` and ``bias`` groups; only the first has weight decay.

    ``bias`` holds every bias (of norm layers too), ``norm`` the weights of normalisation layers, ``decay`` all
    others (convolutions, linear layers, bare parameters). Groups carry their name: in ``YOLOv5WarmupHook`` the
    learning rate of biases starts high. That hook also scales the weight decay to the batch, since it knows the loader.

    Args:
        optim_wrapper_cfg: ``type``, ``optimizer`` (its ``weight_decay`` is that of the nominal batch) and further
            arguments of the wrapper.
        paramwise_cfg: Must be empty; there are only the groups above.

    Raises:
        UserError: ``paramwise_cfg`` is given, or no parameter can be trained.

    Example config: ``optim_wrapper = dict(type='mmleuk.YOLOv5OptimWrapper',
    constructor='mmleuk.YOLOv5OptimWrapperConstructor', optimizer=dict(type='SGD', lr=0.01, momentum=0.937,
    weight_decay=5e-4, nesterov=True))``
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        if paramwise_cfg:
            raise UserError('YOLOv5OptimWrapperConstructor makes its own three groups; '
                            f'remove paramwise_cfg={paramwise_cfg} or use the default constructor')
        self.optim_wrapper_cfg = dict(optim_wrapper_cfg)
        self.optimizer_cfg = dict(self.optim_wrapper_cfg.pop('optimizer'))

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the optimiser over the model's groups, in its wrapper."""
        groups = yolov5_param_groups(cast(nn.Module, model.module) if is_model_wrapper(model) else model)
        if not any(group['params'] for group in groups):
            raise UserError('the model has no parameter that can be trained; unfreeze some layers')
        groups = [group for group in groups if group['params']]
        optimizer = OPTIMIZERS.build({**self.optimizer_cfg, 'params': groups})
        wrapper = OPTIM_WRAPPERS.build({'type': 'OptimWrapper', **self.optim_wrapper_cfg, 'optimizer': optimizer})
        if isinstance(wrapper, SummedGradients):
            wrapper.loss_is_sum = any(isinstance(module, YOLOv5Head) for module in model.modules())
        return wrapper


def yolov5_param_groups(model: nn.Module) -> list[dict]:
    """Return ``[{name, params, (weight_decay)}]`` for 'decay', 'norm', 'bias'; each trainable parameter once."""
    groups: dict[str, list[nn.Parameter]] = {'decay': [], 'norm': [], 'bias': []}
    seen: set[int] = set()
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) in seen or not parameter.requires_grad:
                continue
            seen.add(id(parameter))
            kind = 'bias' if name == 'bias' else 'norm' if isinstance(module, _NORMS) else 'decay'
            groups[kind].append(parameter)
    return [  # 'decay' first: mmengine logs the first group's learning rate
        {'name': 'decay', 'params': groups['decay']},
        {'name': 'norm', 'params': groups['norm'], 'weight_decay': 0.0},
        {'name': 'bias', 'params': groups['bias'], 'weight_decay': 0.0},
    ]


def epoch_factor(epoch: int, max_epochs: int, final_factor: float, decay: str) -> float:
    """Return the ratio of an epoch's learning rate to the first one: 1 at epoch 0, ``final_factor`` at ``max_epochs``.

    Worked: linear, final_factor 0.01, epoch 50 of 100: 0.5 * 0.99 + 0.01 = 0.505; cosine: the same.

    >>> round(epoch_factor(50, 100, 0.01, 'linear'), 6), round(epoch_factor(25, 100, 0.0, 'cosine'), 6)
    (0.505, 0.853553)
    """
    done = epoch / max_epochs
    left = 1 - done if decay == 'linear' else (1 + math.cos(math.pi * done)) / 2
    return left * (1 - final_factor) + final_factor


@HOOKS.register_module()
class YOLOv5WarmupHook(Hook):
    """Set learning rates, momentum, accumulation and weight decay as YOLOv5 does, each a function of the iteration.

    Nothing is carried from one iteration to the next, so resuming needs no state. It replaces
    ``param_scheduler`` (set that to None) and needs ``mmleuk.YOLOv5OptimWrapper`` (or its Amp form) with
    ``mmleuk.YOLOv5OptimWrapperConstructor``.

    - ``accumulate = max(round(nominal_batch / total_batch), 1)`` batches make one update; total over all processes.
    - Weight decay is multiplied by ``total_batch * accumulate / nominal_batch``.
    - Warm-up lasts ``max(round(warmup_epochs * iterations per epoch), min_warmup_iters)`` iterations: biases fall from
      ``warmup_bias_lr`` to the learning rate, all others rise from 0; momentum rises from ``warmup_momentum``;
      ``accumulate`` grows from 1.
    - The learning rate of an epoch falls from ``lr`` to ``lr * final_factor``, linearly or as a cosine.

    Deviation: gradients left at an epoch's end make their own update (YOLOv5 keeps them for the next epoch). A
    checkpoint does not hold them, so a resumed run would differ.

    Args:
        warmup_epochs: Length of the warm-up in epochs; 0 with ``min_warmup_iters=0`` switches it off.
        min_warmup_iters: Its smallest length, in iterations.
        warmup_bias_lr: Learning rate of biases at iteration 0 (times the factor of ``--auto-scale-lr``, like ``lr``).
        warmup_momentum: Momentum at iteration 0.
        final_factor: ``lrf``, the last learning rate as a share of the first.
        decay: 'linear' or 'cosine'.
        nominal_batch: 64 in YOLOv5; None switches accumulation and the scaling of weight decay off.

    Raises:
        UserError: the optimiser wrapper is another one, a ``param_scheduler`` is set too, or training is not by epoch.
    """

    priority = 'HIGHEST'  # before RuntimeInfoHook, which logs the learning rate

    def __init__(self, *, warmup_epochs: float = 3.0, min_warmup_iters: int = 100, warmup_bias_lr: float = 0.1,
                 warmup_momentum: float = 0.8, final_factor: float = 0.01,
                 decay: Literal['linear', 'cosine'] = 'linear', nominal_batch: int | None = 64) -> None:
        if decay not in ('linear', 'cosine'):
            raise UserError(f'YOLOv5WarmupHook: decay={decay!r}; use linear or cosine')
        self.warmup_epochs = warmup_epochs
        self.min_warmup_iters = min_warmup_iters
        self.warmup_bias_lr = warmup_bias_lr
        self.warmup_momentum = warmup_momentum
        self.final_factor = final_factor
        self.decay = decay
        self.nominal_batch = nominal_batch

    def before_run(self, runner: Runner) -> None:
        """Note the configured rates, scaled by ``--auto-scale-lr``, before a resumed state overwrites them."""
        if not isinstance(runner.optim_wrapper, OptimWrapper):
            return  # testing
        if not isinstance(runner.optim_wrapper, SummedGradients):
            raise UserError('YOLOv5WarmupHook needs optim_wrapper.type=\'mmleuk.YOLOv5OptimWrapper\', '
                            f'not {type(runner.optim_wrapper).__name__}')
        if runner.param_schedulers:
            raise UserError('YOLOv5WarmupHook sets the learning rate itself; set param_scheduler=None')
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            raise UserError('YOLOv5WarmupHook needs training by epoch; set train_cfg.type=\'EpochBasedTrainLoop\'')
        configured = runner.optim_wrapper.optimizer
        self._initial = [(group['lr'], group.get('momentum'), group['weight_decay'])
                         for group in configured.param_groups]
        self._lr_ratio = configured.param_groups[0]['lr'] / configured.defaults['lr']

    def before_train(self, runner: Runner) -> None:
        """Derive batch, accumulation, warm-up length and weight decay from the loader as built."""
        loader = runner.train_dataloader
        batch = getattr(loader.batch_sampler, 'batch_size', loader.batch_size) * runner.world_size
        self._iters_per_epoch = len(loader)
        self.accumulate = max(round(self.nominal_batch / batch), 1) if self.nominal_batch else 1
        self._accumulate_exact = max(self.nominal_batch / batch, 1) if self.nominal_batch else 1
        self.warmup_iters = max(round(self.warmup_epochs * self._iters_per_epoch), self.min_warmup_iters)
        scale = batch * self.accumulate / self.nominal_batch if self.nominal_batch else 1.0
        for group, (_, _, weight_decay) in zip(runner.optim_wrapper.optimizer.param_groups, self._initial):
            group['weight_decay'] = weight_decay * scale
        runner.logger.info(f'{batch} images per batch, {self.accumulate} batches per update, weight decay times '
                           f'{scale:g}, warm-up of {self.warmup_iters} iterations')

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Set everything for this iteration."""
        wrapper = runner.optim_wrapper
        done = min(runner.iter / self.warmup_iters, 1.0) if self.warmup_iters else 1.0
        factor = epoch_factor(runner.epoch, runner.max_epochs, self.final_factor, self.decay)
        for group, (lr, momentum, _) in zip(wrapper.optimizer.param_groups, self._initial):
            start = self.warmup_bias_lr * self._lr_ratio if group.get('name') == 'bias' else 0.0
            group['lr'] = _between(start, lr * factor, done)
            if momentum is not None:  # Adam has none
                group['momentum'] = _between(self.warmup_momentum, momentum, done)
        wrapper.accumulate = round(_between(1, self._accumulate_exact, done))
        wrapper.is_last_of_epoch = batch_idx + 1 == self._iters_per_epoch
        if wrapper.base_param_settings is not None:
            wrapper.base_param_settings['lr'] = wrapper.optimizer.param_groups[0]['lr']  # for the log


def _between(start: float, end: float, done: float) -> float:
    return float(np.interp(done, [0.0, 1.0], [start, end]))


@HOOKS.register_module()
class YOLOv5EMAHook(EMAHook):
    """mmengine's hook with YOLOv5's numbers, averaging per optimiser update instead of per iteration.

    Weights and floating-point buffers (BatchNorm statistics) follow ``ema = d * ema + (1 - d) * weights`` with
    ``d = decay * (1 - exp(-updates / tau))``, which is mmdet's ``ExpMomentumEMA`` with ``momentum = 1 - decay`` and
    ``gamma = tau``. With gradients summed over 16 batches, an average per iteration would forget 16 times as fast.
    Validation, testing and saved ``state_dict``s use the average; resuming restores both sets of weights.

    Args:
        decay: Share of the old average in the long run.
        tau: Updates after which the decay has reached 63% of its value.

    Example config: ``custom_hooks = [dict(type='mmleuk.YOLOv5EMAHook')]``
    """

    def __init__(self, decay: float = 0.9999, tau: int = 2000) -> None:
        super().__init__(ema_type='mmdet.ExpMomentumEMA', momentum=1 - decay, gamma=tau, update_buffers=True)

    def before_train(self, runner: Runner) -> None:
        """Start from the model's weights, which were initialised or loaded after the copy was made."""
        super().before_train(runner)
        if int(self.ema_model.steps) == 0:
            self.ema_model.module.load_state_dict(self.src_model.state_dict())

    def after_train_iter(
            self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None) -> None:
        """Average after an update; a wrapper without ``updated`` is assumed to update in every iteration."""
        if getattr(runner.optim_wrapper, 'updated', True):
            super().after_train_iter(runner, batch_idx, data_batch, outputs)
