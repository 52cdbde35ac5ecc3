"""Draws shapes given in cell units (the cell's radius is 1) into a small pixel patch."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

OVERSAMPLE = 2
_SHIFT = 4  # fractional bits of cv2's coordinates


class Pen:
    """A patch around one cell, and the way from cell units to its pixels.

    Everything is drawn twice as large and averaged down, so that edges are smooth and small things keep
    their size.

    Args:
        radius_px: length of one cell unit before squeezing.
        angle: rotation of the cell, radians.
        squeeze_xy: the film's horizontal and vertical scale (microscope images are often not square-pixelled).
        margin: half the patch's side in cell units.
    """

    def __init__(self, radius_px: float, angle: float = 0.0, squeeze_xy: tuple[float, float] = (1.0, 1.0),
                 margin: float = 1.3) -> None:
        squeeze = np.asarray(squeeze_xy, float)
        half = np.ceil(radius_px * margin * squeeze).astype(int) + 2
        self.radius_px = radius_px * float(np.sqrt(squeeze.prod()))
        self.centre_xy = half.astype(float)
        self.shape_hw = (int(2 * half[1] + 1), int(2 * half[0] + 1))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        self.matrix = squeeze[:, None] * radius_px * turn

    def to_pixels(self, points: np.ndarray) -> np.ndarray:
        """(N, 2) cell units -> (N, 2) xy of the patch; pixel centres lie on integers."""
        return points @ self.matrix.T + self.centre_xy

    def _fixed(self, points_px: np.ndarray) -> np.ndarray:
        large = (points_px + 0.5) * OVERSAMPLE - 0.5
        return np.round(large * (1 << _SHIFT)).astype(np.int32)

    def _canvas(self) -> np.ndarray:
        return np.zeros((self.shape_hw[0] * OVERSAMPLE, self.shape_hw[1] * OVERSAMPLE), np.uint8)

    def _finish(self, canvas: np.ndarray) -> np.ndarray:
        small = cv2.resize(canvas, (self.shape_hw[1], self.shape_hw[0]), interpolation=cv2.INTER_AREA)
        return small.astype(np.float32) / 255

    def fill(self, polygons: Sequence[np.ndarray]) -> np.ndarray:
        """Union of closed polygons, each (N, 2) in cell units; (H, W) float32 coverage 0 to 1."""
        canvas = self._canvas()
        for polygon in polygons:
            cv2.fillPoly(canvas, [self._fixed(self.to_pixels(polygon))], 255, cv2.LINE_8, _SHIFT)
        return self._finish(canvas)

    def lines(self, polylines: Sequence[np.ndarray], width: float) -> np.ndarray:
        """Open lines, each (N, 2) in cell units, ``width`` in cell units; (H, W) float32 coverage."""
        canvas = self._canvas()
        thickness = max(1, round(width * self.radius_px * OVERSAMPLE))
        for line in polylines:
            cv2.polylines(canvas, [self._fixed(self.to_pixels(line))], False, 255, thickness, cv2.LINE_8, _SHIFT)
        return self._finish(canvas)

    def dots(self, centres_px: np.ndarray, radii: np.ndarray, strengths: np.ndarray | None = None) -> np.ndarray:
        """Discs at (N, 2) patch pixels with (N,) radii in cell units; (H, W) float32 coverage times strength."""
        canvas = self._canvas()
        fixed = self._fixed(centres_px)
        sizes = np.maximum(1, np.round(radii * self.radius_px * OVERSAMPLE * (1 << _SHIFT))).astype(int)
        values = np.full(len(fixed), 255) if strengths is None else np.round(255 * strengths).astype(int)
        for (x, y), size, value in zip(fixed.tolist(), sizes.tolist(), values.tolist(), strict=True):
            cv2.circle(canvas, (x, y), size, value, -1, cv2.LINE_8, _SHIFT)
        return self._finish(canvas)


def soften(mask: np.ndarray, sigma_px: float) -> np.ndarray:
    """Gaussian blur; (H, W) -> (H, W)."""
    return cv2.GaussianBlur(mask, (0, 0), max(sigma_px, 0.3))


def pick_points(rng: np.random.Generator, allowed: np.ndarray, count: int) -> np.ndarray:
    """``count`` random xy positions inside a (H, W) bool mask, (N, 2) float; N = 0 where the mask is empty."""
    places = np.flatnonzero(allowed)
    if not len(places):
        return np.zeros((0, 2))
    chosen = places[rng.integers(0, len(places), count)]
    return np.stack([chosen % allowed.shape[1], chosen // allowed.shape[1]], 1) + rng.uniform(-0.5, 0.5, (count, 2))


def extent(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Tight x0, y0, x1, y1 of a bool mask in pixel edges (x1, y1 exclusive).

    Raises:
        ValueError: the mask is empty.
    """
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    if not len(columns):
        raise ValueError(f'a mask of shape {mask.shape} is empty and has no extent')
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
