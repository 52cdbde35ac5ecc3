"""Masks of cell parts over their images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

_OPACITY = 0.45


def outlined(image: Image.Image, mask: np.ndarray, palette: Sequence[Sequence[int]]) -> Image.Image:
    """The image, and beside it the same under the mask's colours; value 0, the background, has none.

    Args:
        image: of W x H.
        mask: (H, W) integers.
        palette: RGB by value.
    """
    pixels = np.asarray(image.convert('RGB')).astype(np.float32)
    shares = np.where(mask == 0, 0, _OPACITY)[..., None]
    painted = pixels * (1 - shares) + np.array(palette, np.float32)[mask] * shares
    return Image.fromarray(np.concatenate([pixels, painted], 1).round().astype(np.uint8))
