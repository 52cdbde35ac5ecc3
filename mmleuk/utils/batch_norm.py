"""Batch norms that only scale and shift, as part of the convolutions before them."""

from __future__ import annotations

from mmcv.cnn import ConvModule, fuse_conv_bn
from torch import nn


def fold_batch_norms(model: nn.Module) -> None:
    """Fold batch norms into the convolutions before them, in place: the same outputs in fewer steps.

    Args:
        model: in evaluation mode. Only MMCV's ConvModules change: they tell which norm follows which convolution.
    """
    for module in [module for module in model.modules() if isinstance(module, ConvModule)]:
        if module.with_norm and module.order.index('norm') == module.order.index('conv') + 1:
            fuse_conv_bn(module)
