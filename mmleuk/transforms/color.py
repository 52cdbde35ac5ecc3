"""Colour jitter."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness

from mmleuk.errors import UserError
from mmleuk.registry import TRANSFORMS

HUES = 180
"""OpenCV's hues of a uint8 image: 0 to 179, half degrees."""


@TRANSFORMS.register_module()
class HSVJitter(BaseTransform):
    """Multiply hue, saturation and value by random factors in [1 - gain, 1 + gain].

    MMDetection's ``YOLOXHSVRandomAug`` adds numbers instead; on pale blood films that colours the background.

    Args:
        hue: gain of the hue, which wraps around.
        saturation: gain of the saturation, clipped at 255.
        value: gain of the value, clipped at 255.

    Raises:
        UserError: the image isn't (H, W, 3) uint8.

    Source: YOLOv5 release 6 (``hyp.scratch``: 0.015, 0.7, 0.4), written from its description.
    """

    def __init__(self, *, hue: float = 0.015, saturation: float = 0.7, value: float = 0.4) -> None:
        self.gains = np.array([hue, saturation, value])
        if not ((self.gains >= 0) & (self.gains <= 1)).all():
            raise UserError(f'HSVJitter: gains have to lie in [0, 1], got {self.gains.tolist()}')

    @cache_randomness
    def _random_factors(self) -> np.ndarray:
        return 1 + np.random.uniform(-1, 1, 3) * self.gains

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace ``img`` (BGR)."""
        image = results['img']
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise UserError(f'HSVJitter needs a (H, W, 3) uint8 image, got {image.shape} {image.dtype}; put it before '
                            'transforms that make floats')
        scaled = np.arange(256) * self._random_factors()[:, None]
        scaled[0] %= HUES
        table = scaled.clip(0, 255).astype(np.uint8).T.reshape(256, 1, 3)
        results['img'] = cv2.cvtColor(cv2.LUT(cv2.cvtColor(image, cv2.COLOR_BGR2HSV), table), cv2.COLOR_HSV2BGR)
        return results

    def __repr__(self) -> str:
        hue, saturation, value = self.gains.tolist()
        return f'{type(self).__name__}(hue={hue}, saturation={saturation}, value={value})'
