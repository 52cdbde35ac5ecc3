"""mmcv's VGG as a backbone of MMDetection."""

from __future__ import annotations

from mmcv.cnn import VGG as MMCVVGG
from torch import Tensor

from mmleuk.registry import MODELS


@MODELS.register_module()
class VGG(MMCVVGG):
    """VGG-11 to VGG-19, without the fully connected layers unless ``num_classes`` is given. Arguments are mmcv's.

    mmcv doesn't register it, and returns a single map without a tuple.
    """

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Images (B, 3, H, W) -> the maps of ``out_indices``, 0 (stride 2) to 4 (stride 32)."""
        maps = super().forward(x)
        return (maps,) if isinstance(maps, Tensor) else tuple(maps)
