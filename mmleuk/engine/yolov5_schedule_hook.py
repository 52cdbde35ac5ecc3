"""YOLOv5's schedule: warm-up, decay per epoch, accumulation towards a nominal batch."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmleuk.engine.optim_wrapper import SummedGradients
from mmleuk.errors import UserError
from mmleuk.registry import HOOKS


def epoch_factor(epoch: int, max_epochs: int, final_factor: float, decay: str) -> float:
    """Return what an epoch's learning rate is of the first one's: 1 at epoch 0, ``final_factor`` at ``max_epochs``.

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

    Nothing is carried from one iteration to the next, so resuming needs no state. It takes the place of
    ``param_scheduler`` (set that to None) and needs ``mmleuk.YOLOv5OptimWrapper`` (or its Amp form) with
    ``mmleuk.YOLOv5OptimWrapperConstructor``.

    - ``accumulate = max(round(nominal_batch / total_batch), 1)`` batches make one update; total over all processes.
    - Weight decay is multiplied by ``total_batch * accumulate / nominal_batch``.
    - Warm-up lasts ``max(round(warmup_epochs * iterations per epoch), min_warmup_iters)`` iterations: biases fall from
      ``warmup_bias_lr`` to the learning rate, all others rise from 0; momentum rises from ``warmup_momentum``;
      ``accumulate`` grows from 1.
    - The learning rate of an epoch falls from ``lr`` to ``lr * final_factor``, linearly or as a cosine.

    Deviation: gradients that wait at an epoch's end make an update of their own (YOLOv5 carries them into the next
    epoch), since a checkpoint does not hold them and a resumed run would differ.

    Args:
        warmup_epochs: Length of the warm-up in epochs; 0 with ``min_warmup_iters=0`` switches it off.
        min_warmup_iters: Its least length, in iterations.
        warmup_bias_lr: Learning rate of biases at iteration 0 (times the factor of ``--auto-scale-lr``, like ``lr``).
        warmup_momentum: Momentum at iteration 0.
        final_factor: ``lrf``, the last learning rate as a part of the first.
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
