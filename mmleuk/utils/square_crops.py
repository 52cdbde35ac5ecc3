"""Squares of images around boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def square_crop(image: np.ndarray, box_xyxy: Sequence[float], margin: float) -> np.ndarray:
    """A square around a box, grey beyond the border; as :class:`mmleuk.CropCell` cuts it.

    Args:
        image: (H, W, 3) uint8.
        box_xyxy: pixels.
        margin: on each side, as a share of the longer side.

    >>> square_crop(np.zeros((10, 10, 3), np.uint8), (0, 0, 4, 2), 0.25)[:, 1, 0].tolist()
    [114, 114, 0, 0, 0, 0]
    """
    x1, y1, x2, y2 = box_xyxy
    side = max(round(max(x2 - x1, y2 - y1) * (1 + 2 * margin)), 1)
    left, top = round((x1 + x2 - side) / 2), round((y1 + y2 - side) / 2)
    crop = np.full((side, side, 3), 114, np.uint8)
    shown = image[max(top, 0):max(top + side, 0), max(left, 0):max(left + side, 0)]
    rows, columns = max(-top, 0), max(-left, 0)
    crop[rows:rows + shown.shape[0], columns:columns + shown.shape[1]] = shown
    return crop
