"""Nuclei: their forms, chromatin and nucleoli."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from mmleuk.synthetic.looks import Look
from mmleuk.synthetic.pen import Pen, soften
from mmleuk.synthetic.shapes import arc, dent, ellipse, polar, ribbon, waves
from mmleuk.synthetic.streams import Randomness, part_rng
from mmleuk.synthetic.textures import noise

Contours = list[np.ndarray]


@dataclass(frozen=True)
class Nucleus:
    """One drawn nucleus, (H, W) float32 each: coverage, amount of dye, and coverage of its nucleoli."""

    mask: np.ndarray
    amount: np.ndarray
    nucleoli: np.ndarray


def _round(rng: np.random.Generator) -> Contours:
    return [polar(1 + waves(rng, 0.015))]


def _oval(rng: np.random.Generator) -> Contours:
    stretch = rng.uniform(1.1, 1.25)
    return [polar(1 + waves(rng, 0.015, 3)) * [stretch, 1 / stretch]]


def _notched(rng: np.random.Generator) -> Contours:
    cleft = dent(rng.uniform(0, 6.28), rng.uniform(0.65, 0.85), rng.uniform(0.2, 0.28))
    return [polar(1.05 + waves(rng, 0.04) + cleft)]


def _indented(rng: np.random.Generator) -> Contours:
    line = arc(rng.uniform(0.34, 0.38), rng.uniform(2.7, 3.2))
    width = rng.uniform(0.24, 0.28) * (1 + 0.12 * np.sin(np.linspace(0, 5, len(line)) + rng.uniform(0, 6)))
    return [ribbon(line, width)]


def _folded(rng: np.random.Generator) -> Contours:
    first = rng.uniform(0, 6.28)
    dents = dent(first, 0.55, 0.16) + dent(first + rng.uniform(1.6, 2.6), 0.5, 0.18)
    return [polar(1.06 + waves(rng, 0.06, 2, 5) + dents + dent(first + rng.uniform(3.6, 4.6), 0.4, 0.2))]


def _butterfly(rng: np.random.Generator) -> Contours:
    tilt = rng.uniform(0.15, 0.4)
    return [ellipse((side * 0.62, 0), (0.54, rng.uniform(0.85, 1.05)), -side * tilt) for side in (-1, 1)]


def _horseshoe(rng: np.random.Generator) -> Contours:
    line = arc(rng.uniform(0.44, 0.5), rng.uniform(3.6, 4.6))
    width = rng.uniform(0.17, 0.22) * (1 + 0.15 * np.sin(np.linspace(0, 6, len(line)) + rng.uniform(0, 6)))
    return [ribbon(line, width)]


def _bilobed(rng: np.random.Generator) -> Contours:
    apart, radius = rng.uniform(0.38, 0.44), rng.uniform(0.28, 0.33)
    lobes = [ellipse((side * apart, 0.1), (radius, radius * rng.uniform(1.0, 1.3)), side * 0.4) for side in (-1, 1)]
    bridge = np.array([[-apart, 0.0], [-apart / 3, -0.12], [apart / 3, -0.12], [apart, 0.0]])
    return [*lobes, ribbon(bridge, np.full(4, 0.05))]


def _segmented(rng: np.random.Generator) -> Contours:
    count = int(rng.choice([3, 4, 5], p=[0.4, 0.4, 0.2]))
    line = arc(rng.uniform(0.46, 0.54), rng.uniform(3.4, 4.8), count) + rng.normal(0, 0.05, (count, 2))
    lobes = [ellipse((x, y), (rng.uniform(0.2, 0.25), rng.uniform(0.22, 0.29)), rng.uniform(0, 3.1)) for x, y in line]
    return [*lobes, ribbon(line, np.full(count, 0.05))]


FORMS: dict[str, Callable[[np.random.Generator], Contours]] = dict(
    round=_round, oval=_oval, notched=_notched, indented=_indented, folded=_folded, butterfly=_butterfly,
    horseshoe=_horseshoe, bilobed=_bilobed, segmented=_segmented)
SPREAD = ('indented', 'horseshoe', 'bilobed', 'segmented')  # given in cell units: their gaps are cytoplasm


def nucleus_contours(look: Look, rng: np.random.Generator) -> Contours:
    """Contours in cell units, of the look's form and share of the cell's area, moved off centre."""
    contours = FORMS[look.form](rng)
    if look.form not in SPREAD:
        area = sum(abs(cv2.contourArea(contour.astype(np.float32))) for contour in contours)
        contours = [contour * np.sqrt(look.nucleus_share * np.pi / area) for contour in contours]
    middle = np.concatenate(contours).mean(0)
    reach = max(np.linalg.norm(contour - middle, axis=1).max() for contour in contours)
    angle = rng.uniform(0, 2 * np.pi)
    shift = look.eccentric * max(0.0, 0.95 - reach) * np.array([np.cos(angle), np.sin(angle)])
    return [contour - middle + shift for contour in contours]


def draw_nucleus(pen: Pen, look: Look, inside: np.ndarray, rng: Randomness, scale: float) -> Nucleus:
    """Draw a nucleus.

    Args:
        pen: the cell's patch.
        look: what to draw.
        inside: (H, W) coverage of the cell, which the nucleus can't leave.
        rng: all that is random comes from it.
        scale: pixels per nominal pixel, for the texture.
    """
    contours = nucleus_contours(look, part_rng(rng, 'form'))
    mask = soften(pen.fill(contours), 0.02 * pen.radius_px)
    mask = np.minimum(np.clip((mask - 0.5) * 2.2 + 0.5, 0, 1), inside)
    amount = chromatin(mask.shape, look.coarse, part_rng(rng, 'chromatin'), scale)
    depth = cv2.distanceTransform((mask > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    amount = amount + 0.22 * np.exp(-(depth / (0.06 * pen.radius_px)) ** 2)
    if look.form == 'folded':
        amount = amount * (1 - 0.7 * _creases(pen, contours[0], part_rng(rng, 'creases')))
    spots = _nucleoli(pen, look, depth, part_rng(rng, 'nucleoli'))
    rim = np.clip(soften(spots, 0.05 * pen.radius_px) * 1.6 - spots, 0, 1)
    amount = amount * (1 - 0.72 * soften(spots, 0.8 * scale)) + 0.2 * rim
    return Nucleus(mask, np.maximum(amount, 0.05), np.where(mask > 0.5, spots, 0))


def chromatin(shape_hw: tuple[int, int], coarse: bool, rng: np.random.Generator, scale: float) -> np.ndarray:
    """Amount of dye per pixel: even and finely netted (open), or dark clumps with light gaps (coarse)."""
    if coarse:
        clumps = noise(rng, shape_hw, 11.0, 0.35, scale)
        return 1.05 + 0.38 * np.tanh(1.8 * clumps) + 0.05 * noise(rng, shape_hw, 4.0, 0.5, scale)
    net = np.abs(noise(rng, shape_hw, 6.0, 0.5, scale))
    return 0.88 - 0.07 * net + 0.05 * noise(rng, shape_hw, 30.0, 0.5, scale)


def _creases(pen: Pen, contour: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two or three pale folds from the contour's dents towards the other side; (H, W) coverage."""
    middle = contour.mean(0)
    lengths = np.linalg.norm(contour - middle, axis=1)
    starts = [int(np.argmin(lengths)), *rng.integers(0, len(contour), rng.integers(1, 3)).tolist()]
    lines = []
    for start in starts:
        end = contour[(start + len(contour) // 2 + int(rng.integers(-10, 11))) % len(contour)]
        bend = middle + rng.normal(0, 0.14, 2)
        t = np.linspace(0, rng.uniform(0.7, 0.95), 16)[:, None]
        lines.append((1 - t) ** 2 * contour[start] + 2 * t * (1 - t) * bend + t ** 2 * end)
    return soften(pen.lines(lines, 0.085), 0.015 * pen.radius_px)


def _nucleoli(pen: Pen, look: Look, depth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pale round spots well inside the nucleus, apart from each other; (H, W) coverage."""
    if not look.nucleoli:
        return np.zeros_like(depth)
    unit = np.sqrt((depth > 0).sum() / np.pi) / pen.radius_px
    free = depth.copy()
    centres, radii = [], rng.uniform(*look.nucleolus_radius, look.nucleoli) * unit
    rows, columns = np.indices(depth.shape)
    for radius in radii:
        room = np.minimum(1.25 * radius * pen.radius_px, 0.98 * free.max())
        y, x = np.argwhere(free >= room)[rng.integers(0, (free >= room).sum())]
        centres.append((x, y))
        free = np.minimum(free, np.hypot(columns - x, rows - y) - 1.2 * radius * pen.radius_px)
        if free.max() < 2:
            break
    return pen.dots(np.asarray(centres, float), radii[:len(centres)])
