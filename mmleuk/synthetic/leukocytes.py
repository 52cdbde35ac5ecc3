"""Leukocytes: outline, cytoplasm, granules, vacuoles and a nucleus, composed into a patch of optical density."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from mmleuk.synthetic.looks import Look
from mmleuk.synthetic.nucleus import draw_nucleus
from mmleuk.synthetic.pen import Pen, pick_points, soften
from mmleuk.synthetic.shapes import dent, ellipse, polar, waves
from mmleuk.synthetic.stain import FilmStyle, Stain
from mmleuk.synthetic.streams import Randomness, part_rng
from mmleuk.synthetic.textures import noise


@dataclass(frozen=True)
class Patch:
    """A drawn thing, to be laid over the film.

    Attributes:
        density: (H, W, 3) RGB optical density.
        alpha: (H, W) how much it covers what lies below.
        mask: (H, W) bool, where the thing is: its box is this mask's extent.
        layers: (H, W) float32 coverage by name: cell, nucleus, nucleoli, granules, vacuoles, auer_rods.
    """

    density: np.ndarray
    alpha: np.ndarray
    mask: np.ndarray
    layers: dict[str, np.ndarray] = field(default_factory=dict)


def draw_leukocyte(look: Look, style: FilmStyle, rng: Randomness) -> Patch:
    """Draw one cell (no artifact) in a film's style."""
    pen = Pen(look.diameter / 2 * style.scale, part_rng(rng, 'turn').uniform(0, 2 * np.pi), style.squeeze_xy)
    cell = _outline(pen, look, part_rng(rng, 'outline'))
    nucleus = draw_nucleus(pen, look, soften(cell, 0.03 * pen.radius_px) * (cell > 0.5), rng, style.scale)
    free = (cell > 0.9) & (nucleus.mask < 0.1)
    density = _cytoplasm(pen, look, cell, nucleus.mask, style, part_rng(rng, 'cytoplasm'))
    shade = part_rng(rng, 'shade')
    dye = style.stain.nucleus * np.exp(shade.normal(shade.normal(0, 0.1), 0.05, 3)).astype(np.float32)
    density = density * (1 - 0.85 * nucleus.mask[..., None]) + (nucleus.mask * nucleus.amount)[..., None] * dye
    # a nucleolus looks bluish, since RNA takes up the basic dye
    density += (0.25 * nucleus.nucleoli)[..., None] * style.stain.basophilic
    granules = _granules(pen, look, free, cell > 0.9, part_rng(rng, 'granules'))
    density = _add_granules(density, granules, look, style.stain, part_rng(rng, 'granule colour'))
    rods = _auer_rods(pen, look, free, part_rng(rng, 'rods'))
    density = density * (1 - 0.6 * rods[..., None]) + (1.6 * rods)[..., None] * style.stain.azure
    vacuoles = np.minimum(_vacuoles(pen, look, free, part_rng(rng, 'vacuoles')), cell)
    density *= 1 - 0.9 * vacuoles[..., None]
    layers = dict(cell=cell, nucleus=nucleus.mask, nucleoli=nucleus.nucleoli, granules=granules, vacuoles=vacuoles,
                  auer_rods=rods)
    return Patch(density, cell, cell >= 0.5, layers)


def _outline(pen: Pen, look: Look, rng: np.random.Generator) -> np.ndarray:
    radii = 1 + waves(rng, 0.02, 2, 5)
    if look.scalloped:
        for angle in rng.uniform(0, 2 * np.pi) + np.arange(3) * 2.1 + rng.normal(0, 0.3, 3):
            radii = radii + dent(angle, rng.uniform(0.14, 0.26), rng.uniform(0.22, 0.34))
        radii = radii + 0.06
    stretch = np.exp(rng.normal(0, 0.05))
    contours = [polar(radii) * [stretch, 1 / stretch]]
    if look.blebs:
        for angle in rng.uniform(0, 2 * np.pi, rng.integers(2, 5)):
            contours.append(ellipse((0.98 * np.cos(angle), 0.98 * np.sin(angle)), (0.13, 0.1), angle))
    return pen.fill(contours)


def _cytoplasm(pen: Pen, look: Look, cell: np.ndarray, nucleus: np.ndarray, style: FilmStyle,
               rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) density: two dyes, cloudy, darker at the edge, paler beside the nucleus."""
    depth = cv2.distanceTransform((cell > 0.5).astype(np.uint8), cv2.DIST_L2, 3) / pen.radius_px
    edge = np.exp(-(depth / 0.13) ** 2)
    amount = 1 + 0.1 * noise(rng, cell.shape, 7.0, 0.6, style.scale) + (0.75 if look.dark_rim else 0.2) * edge
    if look.hof:
        amount = amount * (1 - 0.45 * np.clip(3 * soften(nucleus, 0.12 * pen.radius_px) * (1 - nucleus), 0, 1))
    jitter = np.exp(rng.normal(0, 0.1, 3)).astype(np.float32)
    base = look.basophilic * style.stain.basophilic * jitter + look.eosin * style.stain.eosin
    return amount[..., None] * base


def _granules(pen: Pen, look: Look, free: np.ndarray, cell: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    kind = look.granules
    if kind is None:
        return np.zeros(cell.shape, np.float32)
    count = int(rng.integers(kind.count[0], kind.count[1] + 1))
    places = pick_points(rng, cell if kind.over_nucleus else free, count)
    return pen.dots(places, rng.uniform(*kind.radius, len(places)), rng.uniform(0.6, 1.0, len(places)))


def _add_granules(density: np.ndarray, granules: np.ndarray, look: Look, stain: Stain,
                  rng: np.random.Generator) -> np.ndarray:
    if look.granules is None:
        return density
    dye = look.granules.azure * stain.azure + look.granules.eosin * stain.eosin
    dye = dye * np.exp(rng.normal(0, 0.12, 3)).astype(np.float32)
    return density * (1 - 0.5 * granules[..., None]) + granules[..., None] * dye


def _auer_rods(pen: Pen, look: Look, free: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Needles in the cytoplasm, nearly parallel like a bundle; (H, W) coverage."""
    places = pick_points(rng, free, look.auer_rods)
    if not len(places):
        return np.zeros(free.shape, np.float32)
    bundle, lines = rng.uniform(0, np.pi), []
    to_cell = np.linalg.inv(pen.matrix).T
    for centre in places:
        angle = bundle + rng.normal(0, 0.35)
        middle = (centre - pen.centre_xy) @ to_cell
        step = rng.uniform(0.12, 0.22) * np.array([np.cos(angle), np.sin(angle)])
        lines.append(np.stack([middle - step, middle + step]))
    return pen.lines(lines, 0.06) * cv2.dilate(free.astype(np.float32), np.ones((3, 3)))


def _vacuoles(pen: Pen, look: Look, free: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Clear round holes in the cytoplasm; (H, W) coverage."""
    if not look.vacuoles:
        return np.zeros(free.shape, np.float32)
    inner = cv2.distanceTransform(free.astype(np.uint8), cv2.DIST_L2, 3)
    wanted = min(0.07 * pen.radius_px, 0.6 * float(inner.max()))
    places = pick_points(rng, inner >= wanted, look.vacuoles)
    return soften(pen.dots(places, rng.uniform(0.07, 0.115, len(places))), 0.4)
