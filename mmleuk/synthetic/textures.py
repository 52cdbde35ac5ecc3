"""Noise that looks like chromatin, cytoplasm and dirt: periodic tiles, made once per process.

A tile is band-limited noise of zero mean and unit variance; a film takes random windows of it. That costs a
slice instead of a Fourier transform per cell. Tiles don't depend on a film's seed, the windows do.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

TILE = 512


@cache
def noise_tile(wavelength_px: float, width: float = 0.5) -> np.ndarray:
    """Periodic noise around one wavelength.

    Args:
        wavelength_px: dominant size of a light-dark pair.
        width: standard deviation of the band in octaves.

    Returns:
        (2 * TILE, 2 * TILE) float32, four times the same tile, so that every window is a plain slice. Read only.
    """
    generator = np.random.default_rng([int(wavelength_px * 100), int(width * 100)])
    spectrum = np.fft.rfft2(generator.standard_normal((TILE, TILE)))
    frequency = np.hypot(np.fft.fftfreq(TILE)[:, None], np.fft.rfftfreq(TILE)[None])
    frequency[0, 0] = 1e-6
    octaves = np.log2(frequency * wavelength_px)
    tile = np.fft.irfft2(spectrum * np.exp(-0.5 * (octaves / width) ** 2), s=(TILE, TILE))
    tile = np.tile((tile - tile.mean()) / tile.std(), (2, 2)).astype(np.float32)
    tile.setflags(write=False)
    return tile


def noise(rng: np.random.Generator, shape_hw: tuple[int, int], wavelength_px: float, width: float = 0.5,
          scale: float = 1.0) -> np.ndarray:
    """A random window of :func:`noise_tile`, enlarged by ``scale``; (H, W) float32."""
    tile = noise_tile(wavelength_px, width)
    height = min(TILE, int(np.ceil(shape_hw[0] / scale)))
    width_px = min(TILE, int(np.ceil(shape_hw[1] / scale)))
    top, left = rng.integers(0, TILE, 2)
    window = tile[top:top + height, left:left + width_px]
    if window.shape == tuple(shape_hw):
        return window
    return cv2.resize(window, (shape_hw[1], shape_hw[0]), interpolation=cv2.INTER_LINEAR)


def cloud(rng: np.random.Generator, shape_hw: tuple[int, int], knots: int) -> np.ndarray:
    """Slow variation over a whole film: ``knots`` x ``knots`` normal values, interpolated; (H, W) float32."""
    values = rng.standard_normal((knots, knots)).astype(np.float32)
    return cv2.resize(values, (shape_hw[1], shape_hw[0]), interpolation=cv2.INTER_CUBIC)
