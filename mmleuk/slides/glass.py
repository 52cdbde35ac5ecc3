"""Tell empty glass from a window with cells."""

from __future__ import annotations

import cv2
import numpy as np

BLOCK_PX = 8
MIN_CONTRAST = 14
"""Grey levels, 0 to 255, by which the darkest block of a window with a cell is darker than the window's bright part."""


def is_empty_glass(image: np.ndarray) -> bool:
    """Whether a window, (H, W, 3) uint8 BGR, has nothing darker than its background.

    Looks at the green channel, which all stains of blood films darken, in blocks of 8 x 8 pixels: so the noise of a
    camera doesn't count, and a platelet of 12 px does.

    Example:
        >>> glass = np.full((64, 64, 3), 230, np.uint8)
        >>> cell = glass.copy()
        >>> cell[20:40, 20:40] = 120
        >>> is_empty_glass(glass), is_empty_glass(cell)
        (True, False)
    """
    height, width = image.shape[:2]
    size = max(1, width // BLOCK_PX), max(1, height // BLOCK_PX)
    blocks = cv2.resize(np.ascontiguousarray(image[..., 1]), size, interpolation=cv2.INTER_AREA).astype(float)
    return bool(np.percentile(blocks, 90) - blocks.min() < MIN_CONTRAST)
