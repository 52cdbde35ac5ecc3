"""Which part of a film gets annotated: Sparse-LeukemiaAttri's protocol (LLD, section 3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_TRIES = 100


def sample_region(boxes_xywh: Sequence[Sequence[float]], size: int, fraction: float,
                  rng: np.random.Generator) -> list[int]:
    """A random rectangle of ``fraction`` of the image's area that holds at least one cell's centre.

    Uniform among such rectangles; anywhere where there is no cell.

    Args:
        boxes_xywh: the film's cells, pixels.
        size: the film's width and height.
        fraction: share of the area, in (0, 1].
        rng: source of chance.

    Returns:
        [x, y, w, h] in whole pixels.
    """
    centres = np.array([[x + w / 2, y + h / 2] for x, y, w, h in boxes_xywh]).reshape(-1, 2)
    for _ in range(_TRIES):
        width, height = _sides(size, fraction, rng)
        x, y = int(rng.integers(0, size - width + 1)), int(rng.integers(0, size - height + 1))
        if not len(centres) or inside(centres, (x, y, width, height)).any():
            return [x, y, width, height]
    centre = centres[rng.integers(0, len(centres))]
    x, y = (int(np.clip(np.floor(c - rng.uniform(0, side)), 0, size - side))
            for c, side in zip(centre, (width, height), strict=True))
    return [x, y, width, height]


def inside(centres_xy: np.ndarray, region_xywh: Sequence[float]) -> np.ndarray:
    """Which of (N, 2) points lie in the region, borders included; (N,) bool."""
    x, y, width, height = region_xywh
    within: np.ndarray = (centres_xy >= (x, y)) & (centres_xy <= (x + width, y + height))
    return np.asarray(within.all(1))


def _sides(size: int, fraction: float, rng: np.random.Generator) -> tuple[int, int]:
    """Width and height in pixels, up to 1.5 times as wide as high or the other way round."""
    stretch = np.exp(rng.uniform(-0.5, 0.5) * np.log(1.5))
    width = int(np.clip(round(size * np.sqrt(fraction) * stretch), 1, size))
    height = int(np.clip(round(fraction * size * size / width), 1, size))
    # a very large fraction may leave no freedom of shape: the other side makes up for the cut
    return int(np.clip(round(fraction * size * size / height), 1, size)), height
