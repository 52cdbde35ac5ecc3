"""Other amounts of a film's stains, by optical density.

Legend: P pixels, S stains (two stains and the rest). Optical density is -log10 of the transmitted share of light, and
proportional to the amount of stain (Beer-Lambert).
"""

from __future__ import annotations

from typing import Any, Literal

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness

from mmleuk.errors import UserError
from mmleuk.registry import TRANSFORMS
from mmleuk.transforms.color import checked_image

AZURE_EOSIN_BGR = ((0.268, 0.690, 0.672), (0.530, 0.830, 0.170))
"""Typical optical densities of azure (nuclei) and eosin (red cells) in blue, green and red, of length 1 each."""

_DENSITY = -np.log10((np.arange(256, dtype=np.float32) + 1) / 256)
_STEPS = 4096
_MOST = float(_DENSITY[0])
_LIGHT = np.clip(256 * 10 ** (-np.linspace(0, _MOST, _STEPS)) - 1, 0, 255).round().astype(np.uint8)


def optical_density(image: np.ndarray) -> np.ndarray:
    """(..., 3) uint8 -> float32 of the same shape, 0 (white) to 2.41 (black).

    >>> optical_density(np.array([255, 0], np.uint8)).round(2).tolist()
    [-0.0, 2.4100000858306885]
    """
    return _DENSITY[image]


def from_density(density: np.ndarray) -> np.ndarray:
    """The reverse of :func:`optical_density`, to the nearest grey value."""
    return _LIGHT[(np.clip(density, 0, _MOST) * ((_STEPS - 1) / _MOST) + 0.5).astype(np.int32)]


def with_rest(stains: np.ndarray) -> np.ndarray:
    """Two stains (2, 3), and as a third row what they don't explain: the direction across both; each of length 1."""
    rest = np.cross(stains[0], stains[1])
    rows = np.stack([*stains, rest])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def macenko_stains(density: np.ndarray, min_density: float = 0.15, percentile: float = 1.0,
                   most_pixels: int = 4096) -> np.ndarray | None:
    """The two stains of an image, (2, 3) of length 1, the bluer one (azure) first; None if too little is stained.

    In the plane of the two largest principal components of optical density, stains are the extreme directions.

    Args:
        density: (P, 3) in blue, green, red.
        min_density: pixels with less in every channel are background.
        percentile: of the angles that are left out at either end.
        most_pixels: every n-th pixel is used, so that there are at most so many.

    Source: Macenko et al., ISBI 2009, written from the paper.
    """
    sample = density[::max(len(density) // most_pixels, 1)]
    stained = sample[(sample > min_density).any(1)]
    if len(stained) < 50:
        return None
    _, vectors = np.linalg.eigh(np.cov(stained.T))
    plane = vectors[:, [2, 1]] * np.where(vectors[:, [2, 1]].sum(0) < 0, -1, 1)
    projected = stained @ plane
    angles = np.arctan2(projected[:, 1], projected[:, 0])
    ends = np.percentile(angles, [percentile, 100 - percentile])
    if ends[1] - ends[0] < 0.05:  # three degrees: one stain alone
        return None
    stains = np.stack([np.cos(ends), np.sin(ends)], 1) @ plane.T
    return stains[np.argsort(stains[:, 0] - stains[:, 2])] if (stains.sum(1) > 0).all() else None


def change_stains(density: np.ndarray, basis: np.ndarray, factors: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Densities whose amount c of each stain is c (1 + factor) + offset.

    Args:
        density: (H, W, 3) float32.
        basis: (S, 3), a stain per row, see :func:`with_rest`.
        factors: (S,).
        offsets: (S,).

    Returns:
        (H, W, 3) float32.
    """
    change = (np.linalg.inv(basis) * (1 + factors)) @ basis  # to amounts, their change, and back: one linear map
    return cv2.transform(density, np.column_stack([change.T, offsets @ basis]).astype(np.float32))


@TRANSFORMS.register_module()
class StainJitter(BaseTransform):
    """Random amounts of an image's stains and of its light, as if another laboratory had stained and lit the film.

    Each stain's amount c becomes c (1 + a) + b; the whole density gets a constant per channel (light's colour).
    Cells stay where they are.

    Args:
        factor: a is drawn from [-factor, factor] for each stain.
        offset: b is drawn from [-offset, offset] for each stain, in optical density.
        light: drawn from [-light, light] for each channel, in optical density.
        stains: 'macenko' measures each image's two stains (:func:`macenko_stains`); 'fixed' takes
            :data:`AZURE_EOSIN_BGR`, as where nothing can be measured. What they don't explain is a third stain.
        prob: probability that the image is changed.

    Raises:
        UserError: an argument is out of range, or the image isn't (H, W, 3) uint8.

    Source: Tellez et al. (IEEE TMI 2018) for jitter of stains, Macenko et al. (ISBI 2009) for their measurement.
    """

    rejects = False

    def __init__(self, *, factor: float = 0.4, offset: float = 0.05, light: float = 0.05,
                 stains: Literal['macenko', 'fixed'] = 'macenko', prob: float = 0.8) -> None:
        if not (0 <= factor < 1 and 0 <= offset <= 1 and 0 <= light <= 1 and 0 <= prob <= 1):
            raise UserError('StainJitter: factor lies in [0, 1), offset, light and prob in [0, 1]; got '
                            f'{factor}, {offset}, {light} and {prob}')
        if stains not in ('macenko', 'fixed'):
            raise UserError(f"StainJitter: stains is 'macenko' or 'fixed', got {stains!r}")
        self.factor, self.offset, self.light = factor, offset, light
        self.stains = stains
        self.prob = prob

    @cache_randomness
    def _draw(self) -> tuple[bool, np.ndarray]:
        """Whether to change the image; factors, offsets and light, (3, 3) float32."""
        happens = bool(np.random.rand() < self.prob)
        sizes = np.array([self.factor, self.offset, self.light])[:, None]
        return happens, (np.random.uniform(-1, 1, (3, 3)) * sizes).astype(np.float32)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace ``img`` (BGR)."""
        image = checked_image(results, 'StainJitter')
        happens, (factors, offsets, light) = self._draw()
        if not happens:
            return results
        density = optical_density(image)
        stains = macenko_stains(density.reshape(-1, 3)) if self.stains == 'macenko' else None
        basis = with_rest(np.array(AZURE_EOSIN_BGR) if stains is None else stains)
        results['img'] = from_density(change_stains(density, basis, factors, offsets) + light)
        return results

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(factor={self.factor}, offset={self.offset}, light={self.light}, '
                f'stains={self.stains!r}, prob={self.prob})')
