"""Width and height of the red cells in one image, whatever its scale and aspect.

Legend: N boxes; a scale (sx, sy) is network pixels per image pixel along x and y.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import sqrt

import cv2
import numpy as np

RED_CELL_MICRONS = 7.5
"""Mean diameter of a human red cell on a dried film: 7 to 8 micrometres in textbooks of haematology."""

Scale = tuple[float, float]
Finder = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Image (H, W, 3) uint8 BGR -> boxes xyxy (N, 4) and scores (N,) of its red cells, in the image's pixels."""

FIRST_SIDE, STEP, ASPECTS = 192, 1.5, (1.0, 2.0, 0.5)
"""The search: the longer side of the first look in network pixels (as in training, where red cells are about a fifth of
it), its growth, and the tried stretches of x over y."""

LOOK, CLOSE_LOOK = 224, 288
"""Sides of the window that is looked at in network pixels: in the search, and in the measurement after it."""

SMALLEST = 6
"""Pixels of a red cell in the original image below which nobody could name the cells around it."""

MIN_SCORE, MIN_CELLS = 0.5, 5
LARGEST_ASPECT, AGREEMENT, SAME = 4.0, 1.3, 1.1
"""Ratios: of a red cell's width and height at most; of two measurements of one scale; of two that need no third."""


@dataclass(frozen=True)
class RedCells:
    """The median red cell of one image.

    Args:
        width, height: pixels of the original image.
        count: whole, confidently found red cells behind them.
    """

    width: float
    height: float
    count: int

    @classmethod
    def of_scale(cls, um_per_px: tuple[float, float]) -> RedCells:
        """Red cells of a stated scale; none were counted."""
        return cls(RED_CELL_MICRONS / um_per_px[0], RED_CELL_MICRONS / um_per_px[1], 0)

    @property
    def um_per_px(self) -> tuple[float, float]:
        """Micrometres that a pixel is wide and high."""
        return RED_CELL_MICRONS / self.width, RED_CELL_MICRONS / self.height

    def scale(self, diameter: float) -> Scale:
        """The scale at which this red cell is ``diameter`` network pixels wide and high."""
        return diameter / self.width, diameter / self.height


def measure_red_cells(image: np.ndarray, find: Finder, diameter: float) -> RedCells | None:
    """The median red cell, or None where fewer than five are found at any scale.

    The search goes from coarse to fine, so it costs least where red cells are large. From a guess the scale follows the
    measured size, twice, or once where it hardly moves; the first guess from which it stays is right.

    Args:
        image: (H, W, 3) uint8 BGR.
        find: finds red cells that are about ``diameter`` pixels wide.
        diameter: of red cells in the finder's training, pixels.
    """
    for guess in _guesses(image, find, diameter):
        closer = _look(image, find, guess.scale(diameter), CLOSE_LOOK)
        if closer and _agree(closer, guess, SAME):
            return closer
        found = closer and _look(image, find, closer.scale(diameter), CLOSE_LOOK)
        if closer and found and _agree(found, closer):
            return found
    return None


def measure_again(image: np.ndarray, find: Finder, diameter: float, known: RedCells) -> RedCells | None:
    """The median red cell of another image of the same microscope: one look at the known scale; None if it differs."""
    found = _look(image, find, known.scale(diameter), CLOSE_LOOK)
    return found if found and _agree(found, known) else None


def _agree(one: RedCells, other: RedCells, limit: float = AGREEMENT) -> bool:
    """Whether two measurements can be of the same scale."""
    return all(1 / limit <= ratio <= limit for ratio in (one.width / other.width, one.height / other.height))


def _guesses(image: np.ndarray, find: Finder, diameter: float) -> Iterator[RedCells]:
    """Guesses: those without stretch first, coarse looks first."""
    longer = max(image.shape[:2])
    for aspect in ASPECTS:
        side = float(FIRST_SIDE)
        while side <= longer * diameter / SMALLEST:
            scale = side / longer * sqrt(aspect), side / longer / sqrt(aspect)
            seen = _look(image, find, scale, LOOK)
            # Smaller ones are found, too, but with boxes that are too large.
            if seen and sqrt(seen.width * scale[0] * seen.height * scale[1]) >= diameter / 2:
                yield seen
            side *= STEP


def _look(image: np.ndarray, find: Finder, scale: Scale, side: int) -> RedCells | None:
    """The median red cell in the image's central window of ``side`` network pixels at this scale."""
    window = _central_window(image, side / scale[0], side / scale[1])
    size = max(round(window.shape[1] * scale[0]), 8), max(round(window.shape[0] * scale[1]), 8)
    shrinks = size[0] < window.shape[1] and size[1] < window.shape[0]
    boxes, scores = find(cv2.resize(window, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR))
    whole = (boxes[:, :2] > 1).all(1) & (boxes[:, 2] < size[0] - 1) & (boxes[:, 3] < size[1] - 1)
    kept = boxes[whole & (scores >= MIN_SCORE)]
    if len(kept) < MIN_CELLS:
        return None
    width, height = (np.median(kept[:, 2:] - kept[:, :2], axis=0) / scale).tolist()
    possible = min(width, height) >= SMALLEST and 1 / LARGEST_ASPECT <= width / height <= LARGEST_ASPECT
    return RedCells(width, height, len(kept)) if possible else None


def _central_window(image: np.ndarray, width: float, height: float) -> np.ndarray:
    shape = image.shape[:2]
    height, width = min(round(height), shape[0]), min(round(width), shape[1])
    top, left = (shape[0] - height) // 2, (shape[1] - width) // 2
    return image[top:top + height, left:left + width]
