"""What the class 'None' holds: smudge cells, bare nuclei, broken cells. None of them has attributes."""

from __future__ import annotations

import numpy as np

from mmleuk.synthetic.leukocytes import Patch
from mmleuk.synthetic.looks import Look
from mmleuk.synthetic.nucleus import chromatin
from mmleuk.synthetic.pen import Pen, soften
from mmleuk.synthetic.shapes import dent, polar, ribbon, waves
from mmleuk.synthetic.stain import FilmStyle
from mmleuk.synthetic.textures import noise


def draw_artifact(look: Look, style: FilmStyle, rng: np.random.Generator) -> Patch:
    """Draw an artifact of the look's kind."""
    pen = Pen(look.diameter / 2 * style.scale, rng.uniform(0, 2 * np.pi), style.squeeze_xy, margin=1.6)
    return _KINDS[look.artifact](pen, style, rng)


def _nuclear(pen: Pen, alpha: np.ndarray, amount: np.ndarray, style: FilmStyle, threshold: float) -> Patch:
    density = (amount * 0.8)[..., None] * style.stain.nucleus
    mask = alpha >= threshold
    return Patch(density.astype(np.float32), alpha, mask, dict(cell=alpha, nucleus=mask.astype(np.float32)))


def _smudge(pen: Pen, style: FilmStyle, rng: np.random.Generator) -> Patch:
    """A nucleus smeared out: no outline, streaks to one side, holes."""
    core = polar(0.62 + waves(rng, 0.07, 2, 6))
    side = rng.uniform(0, 2 * np.pi)
    streaks = []
    for angle in side + rng.normal(0, 0.6, rng.integers(4, 9)):
        reach = np.linspace(0.3, rng.uniform(0.8, 1.15), 12)[:, None]
        line = reach * [np.cos(angle), np.sin(angle)] + 0.04 * np.cumsum(rng.normal(0, 0.5, (12, 2)), 0)
        streaks.append(ribbon(line, np.linspace(0.14, 0.02, 12)))
    body = soften(pen.fill([core, *streaks]), 0.1 * pen.radius_px)
    ragged = noise(rng, body.shape, 9.0, 0.6, style.scale)
    alpha = np.clip(1.35 * body + 0.22 * ragged * body - 0.12, 0, 1).astype(np.float32)
    amount = 0.62 + 0.12 * noise(rng, body.shape, 5.0, 0.6, style.scale)
    return _nuclear(pen, alpha * np.float32(0.92), amount, style, 0.3)


def _bare(pen: Pen, style: FilmStyle, rng: np.random.Generator) -> Patch:
    """A nucleus without any cytoplasm, its edge frayed."""
    mask = soften(pen.fill([polar(0.74 + waves(rng, 0.05, 2, 12))]), 0.045 * pen.radius_px)
    amount = chromatin(mask.shape, bool(rng.uniform() < 0.5), rng, style.scale)
    return _nuclear(pen, mask, amount, style, 0.5)


def _broken(pen: Pen, style: FilmStyle, rng: np.random.Generator) -> Patch:
    """A cell torn open: jagged outline, a ragged nucleus that spills out."""
    jagged = 0.9 + waves(rng, 0.1, 3, 14) + dent(rng.uniform(0, 6.28), 0.5, 0.4)
    cell = soften(pen.fill([polar(jagged)]), 0.02 * pen.radius_px)
    torn = polar(0.62 + waves(rng, 0.12, 2, 10)) + rng.normal(0, 0.15, 2)
    nucleus = soften(pen.fill([torn]), 0.07 * pen.radius_px)
    amount = 0.7 + 0.2 * noise(rng, cell.shape, 9.0, 0.5, style.scale)
    density = (0.35 * (1 - nucleus))[..., None] * style.stain.basophilic
    density += (nucleus * amount)[..., None] * style.stain.nucleus
    alpha = np.maximum(cell * 0.85, nucleus).astype(np.float32)
    return Patch(density.astype(np.float32), alpha, alpha >= 0.4, dict(cell=alpha, nucleus=nucleus))


_KINDS = dict(smudge=_smudge, bare=_bare, broken=_broken)
