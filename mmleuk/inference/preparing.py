"""A config's test pipeline and normalisation in NumPy and OpenCV: an image, as a network gets it.

The steps are MMDetection's Resize and Pad; the tests compare them with the originals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from mmleuk.errors import UserError
from mmleuk.utils.image_size import kind_of

INTERPOLATIONS = dict(nearest=cv2.INTER_NEAREST, bilinear=cv2.INTER_LINEAR, bicubic=cv2.INTER_CUBIC,
                      area=cv2.INTER_AREA, lanczos=cv2.INTER_LANCZOS4)
SETTINGS = {'Resize': ('scale', 'scale_factor', 'keep_ratio', 'interpolation'),
            'Pad': ('size', 'size_divisor', 'pad_val')}
"""Steps that change an image, and the settings that are known here."""
WITHOUT_EFFECT = ('clip_object_border', 'backend', '_scope_')


@dataclass(frozen=True)
class NetworkInput:
    """One prepared image.

    Args:
        pixels: (3, H, W) float32, normalised.
        picture_hw: height and width of the image in it; the rest is padding.
        scale_xy: its pixels per pixel of the original image.
    """

    pixels: np.ndarray
    picture_hw: tuple[int, int]
    scale_xy: tuple[float, float]


def image_steps(pipeline: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """The steps of a test pipeline that change the image.

    Raises:
        UserError: one of them isn't known here.

    >>> image_steps([dict(type='LoadImageFromFile'), dict(type='Resize', scale=(64, 64)), dict(type='PackDetInputs')])
    ({'type': 'Resize', 'scale': (64, 64)},)
    """
    steps = []
    for step in pipeline:
        kind = kind_of(step)
        if kind.startswith(('Load', 'Pack')):
            continue
        settings = {key: value for key, value in step.items() if key not in ('type', *WITHOUT_EFFECT)}
        unknown = set(settings) - set(SETTINGS.get(kind, ()))
        if kind not in SETTINGS or unknown:
            what = f'the step {kind}' if kind not in SETTINGS else f'{kind} with {", ".join(sorted(unknown))}'
            known = ' and '.join(f'{name} ({", ".join(keys)})' for name, keys in SETTINGS.items())
            raise UserError(f'the test pipeline has {what}, which exported models cannot do; they know {known}')
        steps.append(dict(type=kind, **settings))
    return tuple(steps)


def prepare(image: np.ndarray, steps: Sequence[Mapping[str, Any]], mean: Sequence[float], std: Sequence[float],
            bgr_to_rgb: bool) -> NetworkInput:
    """An image (H, W, 3) uint8 BGR, as a network gets it.

    Args:
        steps: as of :func:`image_steps`.
        mean, std: of the network's channels.
        bgr_to_rgb: whether the network takes RGB.
    """
    height, width = image.shape[:2]
    picture_hw = height, width
    for step in steps:
        if step['type'] == 'Resize':
            image = _resized(image, step)
            picture_hw = image.shape[:2]
        else:
            image = _padded(image, step)
    # A table of the 256 values per channel: the same numbers as those of every pixel, in a tenth of the time.
    values = np.arange(256, dtype=np.float32)
    tables = [(values - np.float32(low)) / np.float32(high) for low, high in zip(mean, std, strict=True)]
    channels = cv2.split(image)[::-1] if bgr_to_rgb else cv2.split(image)
    pixels = np.stack([cv2.LUT(channel, table) for channel, table in zip(channels, tables, strict=True)])
    return NetworkInput(pixels, picture_hw, (picture_hw[1] / width, picture_hw[0] / height))


def _resized(image: np.ndarray, step: Mapping[str, Any]) -> np.ndarray:
    height, width = image.shape[:2]
    scale, factor = step.get('scale'), step.get('scale_factor')
    if not scale:
        x, y = factor if isinstance(factor, Sequence) else (factor, factor)
        scale = int(width * x + 0.5), int(height * y + 0.5)
    scale = (scale, scale) if isinstance(scale, int) else scale
    if step.get('keep_ratio'):
        ratio = min(max(scale) / max(height, width), min(scale) / min(height, width))
        scale = int(width * ratio + 0.5), int(height * ratio + 0.5)
    return cv2.resize(image, tuple(scale), interpolation=INTERPOLATIONS[step.get('interpolation', 'bilinear')])


def _padded(image: np.ndarray, step: Mapping[str, Any]) -> np.ndarray:
    height, width = image.shape[:2]
    if step.get('size_divisor'):
        size = [-(-side // step['size_divisor']) * step['size_divisor'] for side in (width, height)]
    else:
        size = step['size']
    value = step.get('pad_val', 0)
    value = value.get('img', 0) if isinstance(value, Mapping) else value
    value = [value] * 3 if isinstance(value, (int, float)) else value
    return cv2.copyMakeBorder(image, 0, max(size[1] - height, 0), 0, max(size[0] - width, 0), cv2.BORDER_CONSTANT,
                              value=value)


def stack(inputs: Sequence[NetworkInput], divisor: int, pad_value: float) -> np.ndarray:
    """A batch (B, 3, H, W): all padded at right and bottom to the largest, and that to a multiple of ``divisor``."""
    height, width = (-(-max(each.pixels.shape[axis] for each in inputs) // divisor) * divisor for axis in (1, 2))
    if len(inputs) == 1 and inputs[0].pixels.shape == (3, height, width):
        return inputs[0].pixels[None]
    batch = np.full((len(inputs), 3, height, width), pad_value, np.float32)
    for row, each in zip(batch, inputs):
        row[:, :each.pixels.shape[1], :each.pixels.shape[2]] = each.pixels
    return batch
