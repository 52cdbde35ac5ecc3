"""From optical density to a photograph: light, vignette, focus, fringes, grain."""

from __future__ import annotations

import cv2
import numpy as np

from mmleuk.synthetic.stain import FilmStyle
from mmleuk.synthetic.textures import cloud, noise


def illumination(size: int, style: FilmStyle, rng: np.random.Generator) -> np.ndarray:
    """Share of the light that reaches each pixel, (size, size) float32: vignette, gradient, plasma's clouds."""
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
    picture = np.exp(-density)
    picture *= illumination(size, style, rng)[..., None] * style.light
    # from here on in 8 bits, as a camera's own processing: several times as fast
    image = cv2.cvtColor(np.clip(picture, 0, 255, out=picture).astype(np.uint8), cv2.COLOR_RGB2BGR)
    image = cv2.GaussianBlur(image, (0, 0), max(style.blur_px * style.scale, 0.3))
    if style.halo > 0.05:
        wide = cv2.GaussianBlur(image, (0, 0), 2.0 * style.scale)
        image = cv2.addWeighted(image, 1 + style.halo, wide, -style.halo, 0)
    grain = style.noise * noise(rng, (size, size), 2.5, 0.8)
    grainy = image + grain.round().astype(np.int16)[..., None]
    return np.clip(grainy, 0, 255, out=grainy).astype(np.uint8)
