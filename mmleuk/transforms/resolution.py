"""Loss of resolution: of a weaker objective, of a field that was scaled up, or as DACA makes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness

from mmleuk.errors import UserError
from mmleuk.registry import TRANSFORMS
from mmleuk.transforms.color import checked_image


@TRANSFORMS.register_module()
class LoseResolution(BaseTransform):
    """Shrink the image by a random factor and scale it back; boxes and regions don't move.

    Args:
        factor_range: bounds of the factor, in (0, 1], drawn for width and height apart.
        prob: probability that the image is changed.

    Raises:
        UserError: an argument is out of range.
    """

    def __init__(self, *, factor_range: tuple[float, float] = (0.4, 1.0), prob: float = 0.5) -> None:
        low, high = factor_range
        if not 0 < low <= high <= 1:
            raise UserError('LoseResolution: factor_range lies in (0, 1], the lower bound first, got '
                            f'{factor_range}')
        if not 0 <= prob <= 1:
            raise UserError(f'LoseResolution: prob lies in [0, 1], got {prob}')
        self.factor_range, self.prob = (low, high), prob

    @cache_randomness
    def _draw(self) -> tuple[bool, np.ndarray]:
        """Whether to change the image, and the factors of width and height."""
        return np.random.rand() < self.prob, np.random.uniform(*self.factor_range, 2)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace ``img``."""
        happens, factors = self._draw()
        if happens:
            results['img'] = down_and_up(results['img'], factors, cv2.INTER_AREA, cv2.INTER_LINEAR)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(factor_range={self.factor_range}, prob={self.prob})'


@TRANSFORMS.register_module()
class Downscale(BaseTransform):
    """Scale an image down and up again, without interpolation: its details are lost, its size stays.

    Args:
        scale: smallest and largest scale, in (0, 1].
        prob: probability that the image is changed.

    Raises:
        UserError: an argument is out of range, or the image isn't (H, W, 3) uint8.
    """

    def __init__(self, *, scale: Sequence[float] = (0.5, 0.99), prob: float = 0.5) -> None:
        if len(scale) != 2 or not 0 < scale[0] <= scale[1] <= 1 or not 0 <= prob <= 1:
            raise UserError(f'Downscale: scale is (smallest, largest) in (0, 1], prob in [0, 1]; got {scale}, {prob}')
        self.scale = tuple(scale)
        self.prob = prob

    @cache_randomness
    def _draw(self) -> tuple[bool, float]:
        return bool(np.random.rand() < self.prob), float(np.random.uniform(self.scale[0], self.scale[1]))

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace ``img``."""
        image = checked_image(results, 'Downscale')
        happens, scale = self._draw()
        if happens:
            results['img'] = down_and_up(image, (scale, scale), cv2.INTER_NEAREST, cv2.INTER_NEAREST)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(scale={self.scale}, prob={self.prob})'


def down_and_up(image: np.ndarray, factors_xy: Sequence[float], down: int, up: int) -> np.ndarray:
    """An image (H, W, 3) of the same size, with the details of one that is smaller by ``factors_xy``.

    Args:
        image: uint8.
        factors_xy: of width and height, in (0, 1].
        down, up: OpenCV's interpolations.
    """
    height, width = image.shape[:2]
    small = max(round(width * factors_xy[0]), 1), max(round(height * factors_xy[1]), 1)
    return cv2.resize(cv2.resize(image, small, interpolation=down), (width, height), interpolation=up)
