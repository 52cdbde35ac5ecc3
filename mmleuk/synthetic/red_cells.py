"""Red cells: a film's worth of them in one map of dye amount."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmleuk.synthetic.stain import FilmStyle

VARIANTS = 24
"""Cells that are computed per film; the others are these, mirrored."""


@dataclass(frozen=True)
class RedCells:
    """All red cells of a film of size S.

    Attributes:
        amount: (S, S) float32 amount of their dye; overlapping cells add up.
        covered: (S, S) bool, inside an outline; the pale middle belongs to the cell.
    """

    amount: np.ndarray
    covered: np.ndarray


def draw_red_cells(size: int, style: FilmStyle, rng: np.random.Generator) -> RedCells:
    """Draw a film's red cells."""
    cells, inside = _variants(style, rng)
    half_h, half_w = cells.shape[1] // 2, cells.shape[2] // 2
    amount = np.zeros((size + 2 * cells.shape[1], size + 2 * cells.shape[2]), np.float32)
    covered = np.zeros(amount.shape, bool)
    for x, y in _places(size, style, rng):
        variant, mirror = rng.integers(0, VARIANTS), np.s_[::rng.choice([-1, 1]), ::rng.choice([-1, 1])]
        top, left = int(y) + cells.shape[1] - half_h, int(x) + cells.shape[2] - half_w
        window = np.s_[top:top + cells.shape[1], left:left + cells.shape[2]]
        if min(top, left) < 0 or amount[window].shape != cells[variant].shape:
            continue  # squeezed so narrow that nothing of it reaches the film
        amount[window] += cells[variant][mirror]
        covered[window] |= inside[variant][mirror]
    film = np.s_[cells.shape[1]:cells.shape[1] + size, cells.shape[2]:cells.shape[2] + size]
    amount = amount[film]
    return RedCells(np.where(amount > 1, 1 + 0.75 * (amount - 1), amount), covered[film])


def _places(size: int, style: FilmStyle, rng: np.random.Generator) -> np.ndarray:
    """(N, 2) xy centres: some alone, some in chains that touch or overlap (rouleaux)."""
    unit = style.red_cell_diameter * style.scale
    places: list[np.ndarray] = []
    crowding = rng.uniform(0.75, 1.0)
    while len(places) < style.red_cells:
        place = rng.uniform(-0.4 * unit, size + 0.4 * unit, 2)
        length = int(rng.integers(2, 6)) if rng.uniform() < style.rouleaux / 2 else 1
        angle = rng.uniform(0, 2 * np.pi)
        if places and length == 1 and np.abs(np.asarray(places) - place).max(1).min() < 0.8 * unit * crowding:
            place = rng.uniform(-0.4 * unit, size + 0.4 * unit, 2)
        for _ in range(length):
            places.append(place)
            angle += rng.normal(0, 0.5)
            place = place + rng.uniform(0.45, 0.95) * unit * np.array([np.cos(angle), np.sin(angle)]) * style.squeeze_xy
    places_xy = np.asarray(places)
    return places_xy[((places_xy > -0.7 * unit) & (places_xy < size + 0.7 * unit)).all(1)]


def _variants(style: FilmStyle, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(VARIANTS, H, W) float32 amounts of single cells, and bool where their outlines are filled."""
    count, sx, sy = VARIANTS, *style.squeeze_xy
    radius = (style.red_cell_diameter / 2 * style.scale * np.exp(rng.normal(0, 0.09, count))).astype(np.float32)
    half_w, half_h = (int(np.ceil(radius.max() * 1.5 * s)) + 2 for s in (sx, sy))
    angle = rng.uniform(0, 2 * np.pi, count).astype(np.float32)
    x = (np.arange(-half_w, half_w + 1) / sx).astype(np.float32)[None, None, :] / radius[:, None, None]
    y = (np.arange(-half_h, half_h + 1) / sy).astype(np.float32)[None, :, None] / radius[:, None, None]
    cos, sin = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    stretch = np.exp(rng.normal(0, 0.09, count)).astype(np.float32)[:, None, None]
    u, v = (x * cos + y * sin) * stretch, (y * cos - x * sin) / stretch
    distance, theta = np.hypot(u, v), np.arctan2(v, u)
    relative = distance / _outlines(theta, style, rng)
    return _profile(relative, radius, style, rng), relative < 1


def _outlines(theta: np.ndarray, style: FilmStyle, rng: np.random.Generator) -> np.ndarray:
    """(N, H, W) radius of each cell's outline in each pixel's direction: waves, spikes or a tail."""
    count = len(theta)

    def column(values: np.ndarray) -> np.ndarray:
        return values.astype(np.float32)[:, None, None]

    kind = rng.uniform(size=count)
    crenated = column(kind < style.crenation)
    tailed = column((kind >= style.crenation) & (kind < style.crenation + style.teardrops))
    outline = 1 + column(rng.normal(0, 0.03, count)) * np.cos(2 * theta + column(rng.uniform(0, 6, count)))
    outline += column(rng.normal(0, 0.025, count)) * np.cos(3 * theta + column(rng.uniform(0, 6, count)))
    spikes = np.maximum(np.cos(column(rng.integers(9, 14, count)) * theta), 0) ** 3
    outline += crenated * 0.16 * spikes + tailed * 0.5 * np.exp(-(theta / 0.28) ** 2)
    return outline


def _profile(relative: np.ndarray, radius: np.ndarray, style: FilmStyle, rng: np.random.Generator) -> np.ndarray:
    """Thickness over the relative distance from the centre: biconcave, with a soft edge."""
    count = len(relative)
    pallor = np.clip(style.pallor * np.exp(rng.normal(0, 0.3, count)), 0, 0.95).astype(np.float32)[:, None, None]
    width = rng.uniform(0.3, 0.5, count).astype(np.float32)[:, None, None]
    edge = np.clip((1 - relative) * radius[:, None, None] / 2.2 + 0.5, 0, 1)
    body = 1 - pallor * np.exp(-(relative / width) ** 2 * 1.2) + 0.12 * np.exp(-((relative - 0.92) / 0.1) ** 2)
    strength = np.exp(rng.normal(0, 0.1, count)).astype(np.float32)[:, None, None]
    return edge * body * strength * np.float32(0.85)
