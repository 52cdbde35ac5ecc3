"""From optical density to a photograph: light, vignette, focus, fringes, grain."""

from __future__ import annotations

import cv2
import numpy as np

from mmleuk.datasets.synthetic.stain import FilmStyle
from mmleuk.datasets.synthetic.textures import cloud


def illumination(size: int, style: FilmStyle, rng: np.random.Generator) -> np.ndarray:
    """Share of the light that reaches each place, (size, size) float32: vignette, gradient, plasma's clouds."""
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    centre = rng.uniform(-0.3, 0.3, 2)
    squared = (axis[None] - centre[0]) ** 2 + (axis[:, None] - centre[1]) ** 2
    slow = cloud(rng, (size, size), 4) + 0.5 * cloud(rng, (size, size), 12)
    return (1 - style.vignette * squared / 2 + style.unevenness * slow).astype(np.float32)


def photograph(density: np.ndarray, style: FilmStyle, rng: np.random.Generator) -> np.ndarray:
    """Picture of a film.

    Args:
        density: (S, S, 3) RGB optical density.

    Returns:
        (S, S, 3) uint8, BGR as cv2 writes it.
    """
    size = len(density)
    picture = np.exp(-density) * style.light
    picture *= illumination(size, style, rng)[..., None]
    sigma = style.blur_px * style.scale
    picture = cv2.GaussianBlur(picture, (0, 0), max(sigma, 0.3))
    if style.halo > 0.05:
        wide = cv2.GaussianBlur(picture, (0, 0), 2.0 * style.scale)
        picture = cv2.addWeighted(picture, 1 + style.halo, wide, -style.halo, 0)
    grain = rng.standard_normal((size, size), np.float32)
    picture += (style.noise * cv2.GaussianBlur(grain, (0, 0), 0.6))[..., None]
    return np.ascontiguousarray(np.clip(picture, 0, 255).round().astype(np.uint8)[..., ::-1])
