"""Drawn artefacts that are not cells: stain precipitate, dust, fibres, blots of dye."""

from __future__ import annotations

import numpy as np

from mmleuk.synthetic.leukocytes import Patch
from mmleuk.synthetic.pen import Pen, soften
from mmleuk.synthetic.shapes import polar, ribbon, waves
from mmleuk.synthetic.textures import noise

_NEUTRAL = np.array([1.05, 1.0, 0.95], np.float32)


def draw_precipitate(dye: np.ndarray, cell_px: float, rng: np.random.Generator) -> Patch:
    """A heap of dark grains of dye, denser in the middle; without the outline and body of a cell."""
    pen = Pen(cell_px * rng.uniform(0.18, 0.5), rng.uniform(0, 2 * np.pi), (1.0, rng.uniform(0.5, 1.0)), margin=1.4)
    count = int(rng.integers(40, 140))
    heaps = rng.normal(0, 0.4, (int(rng.integers(2, 6)), 2))
    points = (heaps[rng.integers(0, len(heaps), count)] + rng.normal(0, 0.2, (count, 2))).clip(-1.25, 1.25)
    centres = pen.to_pixels(points)
    grain = np.clip(rng.gamma(2.0, 0.007, count) * cell_px, 0.5, 0.035 * cell_px) / pen.radius_px
    grains = pen.dots(centres, grain, rng.uniform(0.55, 1.0, count))
    return _patch(grains, rng.uniform(1.5, 2.3) * dye, 0.3)


def draw_dust(dye: np.ndarray, cell_px: float, rng: np.random.Generator) -> Patch:
    """A speck of dirt: angular, black or brown in any stain, with a sharp edge."""
    pen = Pen(cell_px * rng.uniform(0.05, 0.16), rng.uniform(0, 2 * np.pi), (1.0, rng.uniform(0.4, 1.0)), margin=1.8)
    outline = polar(np.clip(0.8 + waves(rng, 0.09, 3, 14), 0.4, 1.4))
    body = pen.fill([outline])
    colour = _NEUTRAL if rng.uniform() < 0.6 else np.array([1.35, 1.05, 0.7], np.float32)
    return _patch(body, rng.uniform(1.2, 2.2) * colour, 0.4)


def draw_fibre(dye: np.ndarray, cell_px: float, rng: np.random.Generator) -> Patch:
    """A thread: long, thin, bent, some of it dyed."""
    pen = Pen(cell_px * rng.uniform(0.5, 1.1), rng.uniform(0, 2 * np.pi), margin=1.3)
    along = np.linspace(-1, 1, 24)
    bend = np.cumsum(np.cumsum(rng.normal(0, 0.02, 24)))
    line = np.stack([along, bend - bend.mean()], 1).clip(-1.2, 1.2)
    width = np.full(24, rng.uniform(0.006, 0.018)) * cell_px / pen.radius_px * rng.uniform(0.8, 1.2, 24)
    body = pen.fill([ribbon(line, width)])
    colour = _NEUTRAL if rng.uniform() < 0.5 else dye
    return _patch(body, rng.uniform(0.5, 1.3) * colour, 0.3)


def draw_blot(dye: np.ndarray, cell_px: float, rng: np.random.Generator) -> Patch:
    """A residue of dye: a faint, cloudy stain that fades out, without nucleus or membrane."""
    pen = Pen(cell_px * rng.uniform(0.2, 0.45), rng.uniform(0, 2 * np.pi), (1.0, rng.uniform(0.5, 1.0)), margin=1.7)
    body = soften(pen.fill([polar(np.clip(0.75 + waves(rng, 0.25, 2, 8), 0.25, 1.4))]), 0.28 * pen.radius_px)
    clouds = np.clip(0.75 + 0.2 * noise(rng, body.shape, 26.0, 0.6, max(cell_px / 60, 0.3)), 0, None)
    return _patch(np.clip(body * clouds, 0, 1.5).astype(np.float32), rng.uniform(0.3, 0.6) * dye, 0.3)


def _patch(amount: np.ndarray, density: np.ndarray, visible: float) -> Patch:
    """A thing whose density adds to what lies below; its box is where it has ``visible`` of its full amount."""
    return Patch(amount[..., None] * density, np.clip(amount, 0, 1), amount >= visible * min(float(amount.max()), 1.0))


KINDS = dict(precipitate=draw_precipitate, dust=draw_dust, fibre=draw_fibre, blot=draw_blot)
