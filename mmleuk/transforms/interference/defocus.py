"""Blur of a lens that is out of focus."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from mmleuk.registry import TRANSFORMS
from mmleuk.transforms.interference.scene import Interference, Scene, check_range

_OVERSAMPLE = 8


def disk_kernel(radius_px: float) -> np.ndarray:
    """A lens's circle of confusion: an evenly lit disk with smooth edges, sum 1; (K, K) float32.

    Example:
        >>> disk_kernel(1.5).shape
        (5, 5)
    """
    half = int(np.ceil(radius_px))
    steps = (np.arange((2 * half + 1) * _OVERSAMPLE) + 0.5) / _OVERSAMPLE - half - 0.5
    inside = (steps[:, None] ** 2 + steps[None] ** 2 <= radius_px ** 2).astype(np.float32)
    kernel = inside.reshape(2 * half + 1, _OVERSAMPLE, 2 * half + 1, _OVERSAMPLE).mean((1, 3))
    return kernel / kernel.sum()


@TRANSFORMS.register_module()
class Defocus(Interference):
    """Out of focus: every point becomes a disk, whose size depends on that of the cells.

    Args:
        radius: smallest and largest radius of the disk, as a share of a typical cell's diameter.
        seed: see :class:`Interference`.
    """

    factor = 'defocus'

    def __init__(self, *, radius: tuple[float, float] = (0.06, 0.14), seed: int | None = None) -> None:
        super().__init__(seed=seed)
        self.radius = check_range('Defocus', 'radius', radius, 0.001, 0.5)

    def interfere(self, scene: Scene, rng: np.random.Generator) -> Scene:
        """Every cell counts as affected."""
        kernel = disk_kernel(max(rng.uniform(*self.radius) * scene.cell_px(), 0.6))
        blurred = cv2.filter2D(scene.image, -1, kernel, borderType=cv2.BORDER_REFLECT_101)
        return replace(scene, image=blurred, affected=np.ones(len(scene.boxes), bool))
