"""Images as networks take them: channels before rows and columns."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

FLIP_CODES = {(-1, 1): 0, (1, -1): 1, (-1, -1): -1}
"""Directions of a mirrored view's rows and columns in memory -> what cv2.flip calls it."""


def channels_first(image: np.ndarray) -> Tensor:
    """An image (H, W, C), or (H, W), as a tensor (C, H, W).

    OpenCV is faster than a transposed copy, also for the mirrored views that ``RandomFlip`` leaves, which NumPy copies
    byte by byte.

    >>> channels_first(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)[:, ::-1]).tolist()
    [[[4, 1]], [[5, 2]], [[6, 3]]]
    """
    down, right = steps = tuple(-1 if stride < 0 else 1 for stride in image.strides[:2])
    if steps in FLIP_CODES:
        image = cv2.flip(image[::down, ::right], FLIP_CODES[steps])
    planes = np.empty((image.size // (image.shape[0] * image.shape[1]), *image.shape[:2]), image.dtype)
    cv2.split(image, list(planes))
    return torch.from_numpy(planes)
