"""Samples of any kind -> 8-bit BGR, by a conversion that the user states."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from mmleuk.errors import UserError

PERCENTILES = (0.1, 99.9)
WORDS = ('full', 'percentiles')


@dataclass(frozen=True)
class Intensity:
    """Which sample values become 0 and 255; values between them are scaled linearly, others are clipped.

    Args:
        word: 'full': the whole range of the file's type (0 and 65,535 of 16 bits); 'percentiles': the 0.1th and the
            99.9th percentile of the image's own samples (of 25 spots of a large image); '' with ``limits``.
        limits: the two values themselves.
    """

    word: str = ''
    limits: tuple[float, float] | None = None

    def __str__(self) -> str:
        return self.word if self.limits is None else f'{self.limits[0]:g}:{self.limits[1]:g}'

    def limits_of(self, samples: np.ndarray, where: str) -> tuple[float, float]:
        """The values that become 0 and 255.

        Raises:
            UserError: floating-point samples have no full range, or all samples are equal.
        """
        if self.limits is not None:
            return self.limits
        if self.word == 'full':
            if samples.dtype.kind not in 'ui':
                raise UserError(f'{where}: has floating-point samples, which have no full range; give --intensity '
                                'LOW:HIGH or percentiles')
            return 0.0, float(np.iinfo(samples.dtype).max)
        low, high = np.percentile(samples, PERCENTILES).tolist()
        if not low < high:
            raise UserError(f'{where}: all samples are {low:g}; give --intensity LOW:HIGH')
        return low, high


def parse_intensity(text: str) -> Intensity:
    """An :class:`Intensity` from 'full', 'percentiles' or 'LOW:HIGH'.

    >>> parse_intensity('0:4095').limits
    (0.0, 4095.0)
    """
    if text in WORDS:
        return Intensity(text)
    match = re.fullmatch(r'(-?[\d.]+(?:e[+-]?\d+)?):(-?[\d.]+(?:e[+-]?\d+)?)', text)
    try:
        low, high = (float(part) for part in match.groups()) if match else (0.0, 0.0)
    except ValueError:
        low = high = 0.0
    if not low < high:
        raise UserError(f'intensity {text!r}: give {", ".join(WORDS)}, or LOW:HIGH with LOW < HIGH, such as 0:4095 for '
                        'a camera of 12 bits')
    return Intensity(limits=(low, high))


def to_bgr(samples: np.ndarray, limits: tuple[float, float] | None) -> np.ndarray:
    """Grey (H, W), (H, W, 1) or RGB (H, W, 3 or more) samples -> (H, W, 3) uint8 BGR.

    Args:
        samples: of any type; further channels (alpha) are left out, and grey fills all three channels.
        limits: values that become 0 and 255; None leaves 8-bit samples as they are.

    Example:
        >>> to_bgr(np.array([[0, 2048, 5000]], np.uint16), (0, 4096))[..., 0].tolist()
        [[0, 128, 255]]
    """
    samples = samples[..., None] if samples.ndim == 2 else samples
    channels = samples[..., [0, 0, 0]] if samples.shape[2] < 3 else samples[..., 2::-1]
    if limits is None:
        return np.ascontiguousarray(channels)
    low, high = limits
    scaled = (channels.astype(np.float32) - low) * (255 / (high - low))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
