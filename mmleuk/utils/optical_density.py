"""From a photograph to optical density and back (Beer-Lambert: intensity = light * exp(-density)).

In density, dyes add up: more stain is a factor, two things over each other a sum.
"""

from __future__ import annotations

import cv2
import numpy as np

FOREGROUND = 0.15
"""Density (mean of the channels) above which a pixel is not background."""
_EMPTY_SHARE = 0.05
_FLOOR = 1.0


def find_light(image: np.ndarray) -> np.ndarray:
    """Intensity of the background, (3,) BGR: the level that only a twentieth of the pixels exceeds.

    Args:
        image: (H, W, 3) uint8.
    """
    levels = np.arange(256)
    light = []
    for channel in range(3):
        counts = np.bincount(image[..., channel].ravel(), minlength=256)[::-1].cumsum()
        light.append(levels[::-1][np.searchsorted(counts, _EMPTY_SHARE * counts[-1])])
    return np.maximum(np.array(light, np.float32), _FLOOR)


def to_density(image: np.ndarray, light: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 -> float32; negative where brighter than the light.

    Example:
        >>> to_density(np.full((1, 1, 3), 50, np.uint8), np.array([50, 100, 200.])).round(1).tolist()
        [[[-0.0, 0.699999988079071, 1.399999976158142]]]
    """
    table = -np.log(np.maximum(np.arange(256, dtype=np.float32), _FLOOR)[:, None] / light)
    return cv2.LUT(image, table.astype(np.float32)[None])


def to_image(density: np.ndarray, light: np.ndarray) -> np.ndarray:
    """(H, W, 3) density -> uint8."""
    levels = np.exp(-density)
    levels *= np.asarray(light, levels.dtype)
    return np.clip(np.rint(levels, out=levels), 0, 255, out=levels).astype(np.uint8)


def saturate(density: np.ndarray, most: float) -> np.ndarray:
    """Density whose mean over the channels approaches ``most``: dark dye hides details and keeps its hue."""
    total = np.maximum(density.mean(-1, keepdims=True), 1e-6)
    return density * (most * -np.expm1(-total / most) / total)


def find_dye(density: np.ndarray) -> np.ndarray:
    """Colour of the darkest dye, that of nuclei: (3,) density of mean 1; neutral purple in an empty image."""
    total = density.mean(-1)
    dark = density[total >= max(float(np.quantile(total, 0.98)), FOREGROUND)]
    colour = np.clip(dark.mean(0), 0.05, None) if len(dark) else np.array([0.5, 1.5, 1.0])
    return (colour / colour.mean()).astype(np.float32)


def mean_stain(density: np.ndarray) -> np.ndarray:
    """(3,) mean density outside the background; ones if all is background."""
    shown = density[density.mean(-1) > FOREGROUND]
    return np.clip(shown.mean(0), 0.02, None) if len(shown) else np.ones(3, np.float32)
