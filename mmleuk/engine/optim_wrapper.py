"""Optimiser wrappers: mixed precision on CPU and GPU, and summed gradients as in YOLOv5."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.device import get_device
from mmengine.dist import get_world_size
from mmengine.optim import AmpOptimWrapper as MMEngineAmpOptimWrapper
from mmengine.optim import OptimWrapper
from torch import Tensor

from mmleuk.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class AmpOptimWrapper(MMEngineAmpOptimWrapper):
    """mmengine's wrapper, but on a CPU it runs bfloat16 autocast without loss scaling; mmengine's doesn't start there.

    On a GPU it is mmengine's own (float16 with a gradient scaler, as MMDetection's ``--amp``).

    Args: as mmengine's; on CPU ``loss_scale`` and ``dtype`` are ignored: bfloat16 has float32's range and is the
        only type of autocast there.
    """

    def __init__(self, loss_scale: str | float | dict = 'dynamic', dtype: str | torch.dtype | None = None,
                 **kwargs: Any) -> None:
        if get_device() != 'cpu':
            super().__init__(loss_scale=loss_scale, dtype=dtype, **kwargs)
            return
        OptimWrapper.__init__(self, **kwargs)  # mmengine's own constructor asserts a GPU
        self._scale_update_param = None
        self.loss_scaler = torch.amp.GradScaler('cpu', enabled=False)
        self.cast_dtype = torch.bfloat16
        run_ops_in_float32()


def run_ops_in_float32() -> None:
    """Let RoIAlign, NMS and RoI extractors run in float32 under CPU autocast. Further calls do nothing.

    mmcv's operations reject bfloat16. MMDetection's extractors also cast the boxes to the type of the maps, in which
    coordinates from 256 on are even numbers.
    """
    from mmcv.ops.nms import NMSop
    from mmcv.ops.roi_align import RoIAlignFunction
    from mmdet.models.roi_heads.roi_extractors import GenericRoIExtractor, SingleRoIExtractor
    for operation in (NMSop, RoIAlignFunction, GenericRoIExtractor, SingleRoIExtractor):
        if not hasattr(operation.forward, 'in_float32'):
            forward = torch.amp.custom_fwd(operation.forward, device_type='cpu', cast_inputs=torch.float32)
            forward.in_float32 = True
            is_method = issubclass(operation, torch.nn.Module)
            operation.forward = forward if is_method else staticmethod(forward)


class SummedGradients:
    """Mix-in for an ``OptimWrapper``: gradients are SUMMED over accumulated batches and over processes.

    YOLOv5 multiplies its loss by the batch size, so the summed gradient of several batches is that of one large batch.
    mmengine divides by the number of accumulated batches, and DistributedDataParallel by the number of processes. Both
    would be wrong here. So nothing is divided by the first, and the loss is multiplied by the second.

    The losses of other detectors are means, which both divisions keep: ``YOLOv5OptimWrapperConstructor`` switches
    ``loss_is_sum`` off where the model has no YOLOv5 head.

    ``YOLOv5WarmupHook`` sets ``accumulate`` and ``is_last_of_epoch`` before every iteration; without it every
    iteration updates. ``updated`` tells hooks whether the last iteration did.
    """

    optimizer: Any  # the OptimWrapper's
    loss_is_sum: bool = True
    accumulate: int = 1
    is_last_of_epoch: bool = False
    updated: bool = False
    _pending: int = 0

    def scale_loss(self, loss: Tensor) -> Tensor:
        """Undo DistributedDataParallel's mean where the loss is a sum; of accumulated batches see :meth:`step`."""
        return loss * get_world_size() if self.loss_is_sum else loss

    def backward(self, loss: Tensor, **kwargs: Any) -> None:
        """Add this batch's gradient to the accumulated ones."""
        super().backward(loss, **kwargs)  # type: ignore[misc]  # the OptimWrapper's
        self._pending += 1
        self.updated = False

    def should_update(self) -> bool:
        """Whether to update now: enough batches are accumulated, or the epoch ends (gradients aren't saved)."""
        return self._pending >= self.accumulate or self.is_last_of_epoch

    def should_sync(self) -> bool:
        """Whether an update follows this backward pass; only then do processes exchange gradients."""
        return self._pending + 1 >= self.accumulate or self.is_last_of_epoch

    def step(self, **kwargs: Any) -> None:
        """Update the weights; the gradient of mean losses is their mean over the batches that are accumulated."""
        if not self.loss_is_sum and self._pending > 1:  # at the end of an epoch they are fewer
            for group in self.optimizer.param_groups:
                for parameter in group['params']:
                    if parameter.grad is not None:
                        parameter.grad /= self._pending
        super().step(**kwargs)  # type: ignore[misc]  # the OptimWrapper's
        self._pending = 0
        self.updated = True


@OPTIM_WRAPPERS.register_module()
class YOLOv5OptimWrapper(SummedGradients, OptimWrapper):
    """float32 training as YOLOv5 does it; see ``SummedGradients``. Args: as mmengine's ``OptimWrapper``."""


@OPTIM_WRAPPERS.register_module()
class YOLOv5AmpOptimWrapper(SummedGradients, AmpOptimWrapper):
    """Mixed-precision training as YOLOv5 does it; ``--amp`` puts it in place of ``YOLOv5OptimWrapper``."""
