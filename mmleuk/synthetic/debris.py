"""Platelets, stain precipitate and bubbles: what a detector has to leave alone."""

from __future__ import annotations

import cv2
import numpy as np

from mmleuk.synthetic.leukocytes import Patch
from mmleuk.synthetic.pen import Pen, soften
from mmleuk.synthetic.shapes import polar, waves
from mmleuk.synthetic.stain import FilmStyle
from mmleuk.synthetic.textures import noise


def draw_platelets(style: FilmStyle, rng: np.random.Generator) -> Patch:
    """One platelet, sometimes a clump of them: granular, purple, without a nucleus."""
    clump = rng.uniform() < 0.12
    radius = (rng.uniform(16, 28) if clump else rng.uniform(5, 10)) * style.scale
    pen = Pen(radius, rng.uniform(0, 6.28), style.squeeze_xy)
    if clump:
        centres = rng.normal(0, 0.42, (int(rng.integers(4, 10)), 2))
        contours = [0.32 * polar(1 + waves(rng, 0.1)) + centre for centre in centres]
    else:
        contours = [polar(0.95 + waves(rng, 0.08))]
    alpha = soften(pen.fill(contours), 0.09 * pen.radius_px)
    amount = np.clip(0.42 + 0.2 * noise(rng, alpha.shape, 4.0, 0.6, style.scale), 0.05, None)
    density = amount[..., None] * (0.75 * style.stain.azure + 0.3 * style.stain.basophilic)
    return Patch(density.astype(np.float32), alpha, alpha >= 0.5)


def draw_dust(size: int, style: FilmStyle, rng: np.random.Generator) -> np.ndarray:
    """Stain precipitate: dark specks, gathered in places; (size, size) float32 amount of nuclear dye."""
    canvas = np.zeros((size, size), np.uint8)
    heaps = rng.uniform(0, size, (6, 2))
    for _ in range(style.dust):
        gathered = rng.uniform() < 0.4
        spot = heaps[rng.integers(0, 6)] + rng.normal(0, size / 16, 2) if gathered else rng.uniform(0, size, 2)
        radius = max(1, round(float(rng.gamma(2.0, 0.8) * style.scale * 8)))
        centre, strength = (int(spot[0] * 16), int(spot[1] * 16)), int(rng.integers(60, 220))
        cv2.circle(canvas, centre, radius, strength, -1, cv2.LINE_AA, 4)
    return canvas.astype(np.float32) / 255


def draw_bubbles(size: int, style: FilmStyle, rng: np.random.Generator) -> np.ndarray:
    """Refractile bubbles: bright spots with a dark ring; (size, size) float32 density, negative where bright."""
    canvas = np.zeros((size, size), np.float32)
    for _ in range(int(rng.poisson(1.5))):
        x, y = (int(value) for value in rng.uniform(0, size, 2))
        radius = max(2, round(rng.uniform(3, 8) * style.scale))
        cv2.ellipse(canvas, (x, y), (round(radius * 0.8), radius), 0, 0, 360, 0.5, 2, cv2.LINE_AA)
        cv2.ellipse(canvas, (x, y), (round(radius * 0.6), round(radius * 0.75)), 0, 0, 360, -0.35, -1, cv2.LINE_AA)
    return canvas
