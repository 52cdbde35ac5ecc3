"""Colour jitter: YOLOv5's on hue, saturation and value, and the stronger one of contrastive learning and Co-mining."""

from __future__ import annotations

from typing import Any

import cv2
import mmcv
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

    MMDetection's ``YOLOXHSVRandomAug`` adds numbers instead; on pale blood smears that colours the background.

    Args:
        hue: gain of the hue, which wraps around.
        saturation: gain of the saturation, clipped at 255.
        value: gain of the value, clipped at 255.

    Raises:
        UserError: the image isn't (H, W, 3) uint8.

    Source: YOLOv5 release 6 (``hyp.scratch``: 0.015, 0.7, 0.4), written from its description.
    """

    rejects = False

    def __init__(self, *, hue: float = 0.015, saturation: float = 0.7, value: float = 0.4) -> None:
        self.gains = np.array([hue, saturation, value])
        if not ((self.gains >= 0) & (self.gains <= 1)).all():
            raise UserError(f'HSVJitter: gains have to lie in [0, 1], got {self.gains.tolist()}')

    @cache_randomness
    def _random_factors(self) -> np.ndarray:
        return 1 + np.random.uniform(-1, 1, 3) * self.gains

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace ``img`` (BGR)."""
        image = checked_image(results, 'HSVJitter')
        scaled = np.arange(256) * self._random_factors()[:, None]
        scaled[0] %= HUES
        tables = scaled.clip(0, 255).astype(np.uint8)
        # Channel by channel: OpenCV's look-up in a table of three channels takes twice as long.
        channels = [cv2.LUT(channel, table) for channel, table in
                    zip(cv2.split(cv2.cvtColor(image, cv2.COLOR_BGR2HSV)), tables, strict=True)]
        results['img'] = cv2.cvtColor(cv2.merge(channels), cv2.COLOR_HSV2BGR)
        return results

    def __repr__(self) -> str:
        hue, saturation, value = self.gains.tolist()
        return f'{type(self).__name__}(hue={hue}, saturation={saturation}, value={value})'


@TRANSFORMS.register_module()
class ColorJitter(BaseTransform):
    """Brightness, contrast, saturation and hue by random amounts, in random order; or nothing.

    It is much stronger than :class:`HSVJitter`: it makes a second view of an image, not a realistic microscope image.

    Args:
        brightness: factor drawn from [1 - brightness, 1 + brightness].
        contrast: the same, towards and away from the image's mean grey.
        saturation: the same, towards and away from each pixel's grey.
        hue: shift drawn from [-hue, hue]; 0.5 is half of the colour circle.
        prob: probability that the image is changed.

    Raises:
        UserError: an argument is out of range, or the image isn't (H, W, 3) uint8.

    Source: Co-mining (AAAI 2021): 0.8, 0.8, 0.8, 0.2 with probability 0.8, in torchvision's sense.
    """

    rejects = False

    def __init__(self, *, brightness: float = 0.8, contrast: float = 0.8, saturation: float = 0.8, hue: float = 0.2,
                 prob: float = 0.8) -> None:
        given = dict(brightness=brightness, contrast=contrast, saturation=saturation, hue=hue, prob=prob)
        for name, value in given.items():
            if not 0 <= value <= (0.5 if name == 'hue' else 1):
                raise UserError(f'ColorJitter: {name} lies in [0, {0.5 if name == "hue" else 1}], got {value}')
        self.amounts = np.array([brightness, contrast, saturation, hue])
        self.prob = prob

    @cache_randomness
    def _draw(self) -> tuple[bool, np.ndarray, np.ndarray]:
        """Whether to change the image, the order of the steps, and their amounts."""
        return np.random.rand() < self.prob, np.random.permutation(4), np.random.uniform(-1, 1, 4) * self.amounts

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace ``img`` (BGR)."""
        image = checked_image(results, 'ColorJitter')
        happens, order, amounts = self._draw()
        if happens:
            adjust = mmcv.adjust_brightness, mmcv.adjust_contrast, mmcv.adjust_color, mmcv.adjust_hue
            values = amounts + [1, 1, 1, 0]
            for step in order:
                image = adjust[step](image, float(values[step]), backend='cv2')
            results['img'] = image
        return results

    def __repr__(self) -> str:
        brightness, contrast, saturation, hue = self.amounts.tolist()
        return (f'{type(self).__name__}(brightness={brightness}, contrast={contrast}, saturation={saturation}, '
                f'hue={hue}, prob={self.prob})')


def checked_image(results: dict[str, Any], owner: str) -> np.ndarray:
    """``img`` of the results; a UserError that names the transform ``owner`` if it isn't (H, W, 3) uint8."""
    image = results['img']
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise UserError(f'{owner} needs a (H, W, 3) uint8 image, got {image.shape} {image.dtype}; put it before '
                        'transforms that make floats')
    return image
