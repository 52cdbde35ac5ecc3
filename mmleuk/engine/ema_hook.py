"""The moving average of weights, once per update as YOLOv5 does."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import EMAHook
from mmengine.runner import Runner

from mmleuk.registry import HOOKS


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
        """Average when the optimiser has moved; wrappers that don't tell are taken to move every time."""
        if getattr(runner.optim_wrapper, 'updated', True):
            super().after_train_iter(runner, batch_idx, data_batch, outputs)
