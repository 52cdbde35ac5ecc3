"""Choose the annotated part of an image as in Sparse-LeukemiaAttri's protocol (LLD, section 3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_TRIES = 100


def sample_region(boxes_xywh: Sequence[Sequence[float]], size: tuple[int, int], fraction: float,
                  rng: np.random.Generator) -> list[int]:
    """A random rectangle of ``fraction`` of the image's area that holds at least one cell's centre.

    All such rectangles are equally likely; without cells the rectangle may lie anywhere.

    Args:
        boxes_xywh: the image's cells, pixels.
        size: the image's width and height.
        fraction: share of the area, in (0, 1].
        rng: random generator.

    Returns:
        [x, y, w, h] in whole pixels.
    """
    centres = np.array([[x + w / 2, y + h / 2] for x, y, w, h in boxes_xywh]).reshape(-1, 2)
    for _ in range(_TRIES):
        width, height = _sides(size, fraction, rng)
        x, y = int(rng.integers(0, size[0] - width + 1)), int(rng.integers(0, size[1] - height + 1))
        if not len(centres) or inside(centres, (x, y, width, height)).any():
            return [x, y, width, height]
    centre = centres[rng.integers(0, len(centres))]
    x, y = (int(np.clip(np.floor(c - rng.uniform(0, side)), 0, whole - side))
            for c, side, whole in zip(centre, (width, height), size, strict=True))
    return [x, y, width, height]


def inside(centres_xy: np.ndarray, region_xywh: Sequence[float]) -> np.ndarray:
    """Which of (N, 2) points lie in the region, borders included; (N,) bool."""
    x, y, width, height = region_xywh
    within: np.ndarray = (centres_xy >= (x, y)) & (centres_xy <= (x + width, y + height))
    return np.asarray(within.all(1))


def _sides(size: tuple[int, int], fraction: float, rng: np.random.Generator) -> tuple[int, int]:
    """Width and height in pixels; the image's shape, stretched up to 1.5 times one way or the other."""
    stretch = np.exp(rng.uniform(-0.5, 0.5) * np.log(1.5))
    area = fraction * size[0] * size[1]
    width = int(np.clip(round(size[0] * np.sqrt(fraction) * stretch), 1, size[0]))
    height = int(np.clip(round(area / width), 1, size[1]))
    # with a very large fraction one side is cut at the image's; the other side is adapted
    return int(np.clip(round(area / height), 1, size[0])), height
