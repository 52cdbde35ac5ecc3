"""YOLOv5's backbone, release 6: strided convolutions and CSP stages with a fast pyramid pooling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmdet.models.layers import CSPLayer
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmleuk.registry import MODELS

NORM_CFG = dict(type='BN', momentum=0.03, eps=0.001)
ACT_CFG = dict(type='SiLU', inplace=True)
INIT_CFG = dict(
    type='Kaiming', layer='Conv2d', a=math.sqrt(5), distribution='uniform', mode='fan_in',
    nonlinearity='leaky_relu')
"""PyTorch's default for convolutions, YOLOv5's initialisation."""

STAGE_CHANNELS = (64, 128, 256, 512, 1024)
STAGE_BLOCKS = (3, 6, 9, 3)


def scaled_channels(channels: int, widen_factor: float) -> int:
    """Channels of a wider or narrower model, rounded up to a multiple of 8.

    >>> scaled_channels(64, 0.25), scaled_channels(128, 1.25)
    (16, 160)
    """
    return math.ceil(channels * widen_factor / 8) * 8


def scaled_blocks(blocks: int, deepen_factor: float) -> int:
    """Blocks of a deeper or shallower model, at least 1.

    >>> [scaled_blocks(n, 0.33) for n in (3, 6, 9)], [scaled_blocks(n, 1.33) for n in (3, 6, 9)]
    ([1, 2, 3], [4, 8, 12])
    """
    return max(round(blocks * deepen_factor), 1)


class FastPyramidPooling(BaseModule):
    """SPPF: three max-poolings in a row instead of three sizes side by side.

    Args:
        in_channels: C_in of the input (B, C_in, H, W).
        out_channels: C_out of the output (B, C_out, H, W).
        kernel_size: odd pooling window, stride 1.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int = 5, *,
                 norm_cfg: dict, act_cfg: dict) -> None:
        super().__init__()
        hidden = in_channels // 2
        self.conv1 = ConvModule(in_channels, hidden, 1, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.pool = nn.MaxPool2d(kernel_size, stride=1, padding=kernel_size // 2)
        self.conv2 = ConvModule(4 * hidden, out_channels, 1, norm_cfg=norm_cfg, act_cfg=act_cfg)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) -> (B, C_out, H, W)."""
        pooled = [self.conv1(x)]
        for _ in range(3):
            pooled.append(self.pool(pooled[-1]))
        return self.conv2(torch.cat(pooled, 1))


@MODELS.register_module()
class YOLOv5Backbone(BaseModule):
    """Backbone of YOLOv5 n, s, m, l and x (release 6).

    ``stem`` and ``stage1`` to ``stage4`` give strides 2, 4, 8, 16 and 32.

    Args:
        deepen_factor: blocks per stage relative to YOLOv5l (n, s 0.33; m 0.67; l 1; x 1.33).
        widen_factor: channels relative to YOLOv5l (n 0.25; s 0.5; m 0.75; l 1; x 1.25).
        out_indices: stages returned; 0 is the stem.
        frozen_stages: the stem and stages up to this one don't train; -1 freezes none, which training from
            random weights needs.
        norm_eval: keep batch norm in evaluation mode while training.

    Source: the published architecture of YOLOv5, release 6; written from its description. CSP stages are mmdet's.
    """

    def __init__(self, *, deepen_factor: float, widen_factor: float, out_indices: Sequence[int] = (2, 3, 4),
                 frozen_stages: int = -1, norm_eval: bool = False, norm_cfg: dict = NORM_CFG,
                 act_cfg: dict = ACT_CFG, init_cfg: dict | None = INIT_CFG) -> None:
        super().__init__(init_cfg)
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        layer_cfg: dict[str, Any] = dict(norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.channels = tuple(scaled_channels(c, widen_factor) for c in STAGE_CHANNELS)
        self.stem = ConvModule(3, self.channels[0], 6, stride=2, padding=2, **layer_cfg)
        for index, blocks in enumerate(STAGE_BLOCKS, start=1):
            below, channels = self.channels[index - 1:index + 1]
            layers = [
                ConvModule(below, channels, 3, stride=2, padding=1, **layer_cfg),
                CSPLayer(channels, channels, num_blocks=scaled_blocks(blocks, deepen_factor), **layer_cfg)]
            if index == len(STAGE_BLOCKS):
                layers.append(FastPyramidPooling(channels, channels, **layer_cfg))
            self.add_module(f'stage{index}', nn.Sequential(*layers))

    def _layers(self) -> list[nn.Module]:
        return [self.stem, *(getattr(self, f'stage{i}') for i in range(1, len(STAGE_BLOCKS) + 1))]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) -> feature maps (B, C_i, H / s_i, W / s_i) of ``out_indices``."""
        # Channels last makes training a fifth faster on a CPU and changes no shape; every later layer keeps it.
        x = x.contiguous(memory_format=torch.channels_last)
        outs = []
        for index, layer in enumerate(self._layers()):
            x = layer(x)
            if index in self.out_indices:
                outs.append(x)
        return tuple(outs)

    def train(self, mode: bool = True) -> YOLOv5Backbone:
        """Switch modes; frozen stages, and with ``norm_eval`` every batch norm, stay in evaluation mode."""
        super().train(mode)
        for layer in self._layers()[:self.frozen_stages + 1]:
            layer.eval()
            for parameter in layer.parameters():
                parameter.requires_grad = False
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self
