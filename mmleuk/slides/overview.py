"""A small picture of a large image, made from its windows while they are read."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

OVERVIEW_PX = 2048


class Overview:
    """Collects windows into one small image.

    Args:
        size_hw: of the large image, pixels.
        side_px: longer side of the small one; never larger than the image.

    Attributes:
        pixels: (H, W, 3) uint8 BGR; grey where no window was seen yet.
        scale: small pixels per pixel.

    Example:
        >>> overview = Overview((100, 400), side_px=40)
        >>> overview.see(np.full((100, 100, 3), 7, np.uint8), (0, 0, 100, 100))
        >>> overview.pixels.shape, overview.pixels[:, :, 0].tolist()[0][8:12]
        ((10, 40, 3), [7, 7, 128, 128])
    """

    def __init__(self, size_hw: tuple[int, int], side_px: int = OVERVIEW_PX) -> None:
        self.scale = min(1.0, side_px / max(size_hw))
        height, width = (max(1, round(side * self.scale)) for side in size_hw)
        self.pixels = np.full((height, width, 3), 128, np.uint8)

    def see(self, window: np.ndarray, window_xyxy: Sequence[int]) -> None:
        """Put a window, (h, w, 3) uint8 BGR, at its coordinates in the large image."""
        x1, y1, x2, y2 = (round(value * self.scale) for value in window_xyxy)
        if x1 < x2 and y1 < y2:
            self.pixels[y1:y2, x1:x2] = cv2.resize(window, (x2 - x1, y2 - y1), interpolation=cv2.INTER_AREA)[
                :self.pixels.shape[0] - y1, :self.pixels.shape[1] - x1]
