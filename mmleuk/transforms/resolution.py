"""Loss of resolution, as of a weaker objective or of a field that was scaled up."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness

from mmleuk.errors import UserError
from mmleuk.registry import TRANSFORMS


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
            height, width = results['img'].shape[:2]
            small = tuple(max(1, round(side * factor)) for side, factor in zip((width, height), factors))
            shrunk = cv2.resize(results['img'], small, interpolation=cv2.INTER_AREA)
            results['img'] = cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_LINEAR)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(factor_range={self.factor_range}, prob={self.prob})'
