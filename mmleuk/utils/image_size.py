"""Read and change the image size of a network in a config's test pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mmleuk.errors import UserError

if TYPE_CHECKING:
    from torch import nn

Step = Mapping[str, Any]

MAX_IMAGE_SIZE = 32_768
"""Pixels of a side: a square of that size is 13 GB as float32, before the first layer."""


def image_size_of(steps: Sequence[Step]) -> int | None:
    """Pixels of the longer side of every image after a test pipeline; None if that depends on the image.

    >>> image_size_of([dict(type='Resize', scale=(320, 320), keep_ratio=True)])
    320
    >>> image_size_of([dict(type='Resize', scale=(1333, 800), keep_ratio=True)]) is None
    True
    """
    found = [step for step in steps if kind_of(step) == 'Resize' and step.get('scale')]
    if len(found) != 1 or found[0].get('keep_ratio') and len(set(_scale(found[0]))) > 1:
        return None
    return max(_scale(found[0]))


def at_image_size(steps: Sequence[Step], size: int) -> list[Step]:
    """A test pipeline whose images have a longer side of ``size`` pixels: Resize and Pad are changed.

    A Resize with ``keep_ratio`` gives the image this longer side; any other keeps the ratio of its ``scale``. The size
    of Pad changes in the same ratio.

    Raises:
        UserError: there isn't exactly one Resize with a ``scale``.

    >>> at_image_size([dict(type='Resize', scale=(320, 320), keep_ratio=True), dict(type='Pad', size=(320, 320))], 640)
    [{'type': 'Resize', 'scale': (640, 640), 'keep_ratio': True}, {'type': 'Pad', 'size': (640, 640)}]
    """
    ratio = size / max(_only_scale(steps))
    return [_changed(step, size, ratio) for step in steps]


def _only_scale(steps: Sequence[Step]) -> tuple[int, int]:
    """Width and height of the one Resize of a pipeline.

    Raises:
        UserError: there isn't exactly one Resize with a ``scale``.
    """
    scales = [_scale(step) for step in steps if kind_of(step) == 'Resize' and step.get('scale')]
    if len(scales) != 1:
        raise UserError(f"the image size cannot be changed: the config's test pipeline has {len(scales)} Resize steps "
                        "with a scale; give it one, such as dict(type='Resize', scale=(640, 640), keep_ratio=True)")
    return scales[0]


def at_scale(steps: Sequence[Step], scale_xy: tuple[float, float]) -> list[Step]:
    """A test pipeline whose images are scaled by ``scale_xy``, width and height, to a multiple of 32 pixels.

    Raises:
        UserError: there isn't exactly one Resize with a ``scale``.

    >>> at_scale([dict(type='Resize', scale=(320, 320), keep_ratio=True)], (0.5, 0.25))
    [{'type': 'Resize', 'keep_ratio': False, 'scale_factor': (0.5, 0.25), 'interpolation': 'area'}]
    """
    _only_scale(steps)
    shrinks = max(scale_xy) < 1
    changed: list[Step] = []
    for step in steps:
        if kind_of(step) == 'Resize' and step.get('scale'):
            kept = {key: value for key, value in step.items() if key != 'scale'}
            changed.append(kept | dict(scale_factor=scale_xy, keep_ratio=False,
                                       interpolation='area' if shrinks else 'bilinear'))
        elif kind_of(step) == 'Pad':
            changed.append({key: value for key, value in step.items() if key != 'size'} | dict(size_divisor=32))
        else:
            changed.append(step)
    return changed


def usable_image_size(size: int, own: int | None, model: nn.Module) -> int:
    """The requested size, rounded up to a multiple of the model's padding.

    Args:
        size: pixels.
        own: the config's size; it isn't rounded.
        model: has MMDetection's ``data_preprocessor``, which may contain that of one view.

    Raises:
        UserError: no whole number of pixels, or too many.
    """
    preprocessor = getattr(model, 'data_preprocessor', None)
    preprocessor = getattr(preprocessor, 'data_preprocessor', preprocessor)
    return in_strides(size, own, getattr(preprocessor, 'pad_size_divisor', 1))


def in_strides(size: int, own: int | None, stride: int) -> int:
    """The requested size, rounded up to a multiple of the stride, unless it is the config's own.

    Raises:
        UserError: no whole number of pixels, or too many.

    >>> in_strides(33, 40, 32), in_strides(40, 40, 32)
    (64, 40)
    """
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise UserError(f'image_size is {size!r}; it is a whole number of pixels, at least 1')
    if size > MAX_IMAGE_SIZE:
        raise UserError(f'image_size is {size}; images of more than {MAX_IMAGE_SIZE} pixels need more memory than '
                        'there is')
    return size if size == own else -(-size // stride) * stride


def kind_of(step: Step) -> str:
    """A transform's name without its scope: ``Pad`` for ``mmleuk.Pad`` and for the class."""
    kind = step['type'] if isinstance(step['type'], str) else step['type'].__name__
    return kind.rsplit('.', 1)[-1]


def _scale(step: Step) -> tuple[int, int]:
    """Width and height of a Resize; one number stands for both."""
    scale = step['scale']
    return (scale, scale) if isinstance(scale, int) else (scale[0], scale[1])


def _changed(step: Step, size: int, ratio: float) -> Step:
    kind = kind_of(step)
    if kind == 'Resize' and step.get('scale'):
        return {**step, 'scale': (size, size) if step.get('keep_ratio') else _times(_scale(step), ratio)}
    if kind == 'Pad' and step.get('size'):
        return {**step, 'size': _times(step['size'], ratio)}
    return step


def _times(wh: Sequence[int], ratio: float) -> tuple[int, int]:
    return max(round(wh[0] * ratio), 1), max(round(wh[1] * ratio), 1)
