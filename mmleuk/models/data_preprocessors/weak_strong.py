"""Batches with two views of every image: unchanged, and with other colours and an erased rectangle.

Legend: B images, H x W pixels, N cells.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmdet.structures.bbox import get_box_tensor
from torch import Generator, Tensor

from mmleuk.registry import MODELS

LUMA_BGR = (0.114, 0.587, 0.299)
"""Weights of blue, green and red in an image's brightness (ITU-R BT.601)."""


def change_colours(image: Tensor, contrast: float, brightness: float, saturation: float) -> Tensor:
    """Blend an image with its mean, with black and with its grey version; a factor of 1 changes nothing.

    Args:
        image: (3, H, W) BGR, 0 to 255.

    Returns:
        (3, H, W) float32, cut to 0 to 255 after each step.

    Source: SparseDet's strong view.
    """
    image = image.float()
    image = (image.mean() * (1 - contrast) + image * contrast).clamp(0, 255)
    image = (image * brightness).clamp(0, 255)
    grey = (image * image.new_tensor(LUMA_BGR)[:, None, None]).sum(0)
    return (grey * (1 - saturation) + image * saturation).clamp(0, 255)


def erased_rectangle(box_xyxy: Tensor, area: float, aspect: float, place_x: float, place_y: float) -> list[int]:
    """A rectangle inside a box, in whole pixels.

    Args:
        box_xyxy: (4,) pixels.
        area: share of the box's area, 0 to 1.
        aspect: height / width of the rectangle; limited to what fits into the box.
        place_x, place_y: 0 to 1, from the box's left and upper border to its right and lower one.

    Example:
        >>> erased_rectangle(torch.tensor([10., 10., 30., 20.]), area=0.5, aspect=1.0, place_x=1.0, place_y=0.0)
        [20, 10, 30, 20]
    """
    x1, y1, x2, y2 = box_xyxy.tolist()
    width, height = x2 - x1, y2 - y1
    aspect = min(max(aspect, area * height / max(width, 1e-6)), height / max(area * width, 1e-6))
    erased_w = math.sqrt(area * width * height / max(aspect, 1e-6))
    erased_h = erased_w * aspect
    left, top = x1 + place_x * (width - erased_w), y1 + place_y * (height - erased_h)
    return [round(left), round(top), round(left + erased_w), round(top + erased_h)]


def strong_view(image: Tensor, box_xyxy: Tensor | None, area: tuple[float, float], draw: Generator) -> Tensor:
    """Other colours, and a black rectangle inside a box.

    Args:
        image: (3, H, W) BGR, 0 to 255.
        box_xyxy: (4,) pixels; None erases nothing.
        area: smallest and largest erased share of the box.
        draw: generator of random numbers.

    Returns:
        (3, H, W) of the image's type; the image stays unchanged.
    """
    contrast, brightness, saturation, size, shape, place_x, place_y = torch.rand(7, generator=draw).tolist()
    changed = change_colours(image, 0.5 + contrast, 0.5 + brightness, 0.5 + saturation)
    if box_xyxy is not None:
        size = area[0] + size * (area[1] - area[0])
        left, top, right, bottom = erased_rectangle(box_xyxy, size, 0.3 + 3 * shape, place_x, place_y)
        changed[:, max(top, 0):max(bottom, 0), max(left, 0):max(right, 0)] = 0
    return changed.to(image.dtype)


@MODELS.register_module()
class WeakStrongDataPreprocessor(DetDataPreprocessor):
    """MMDetection's preprocessor for a batch that holds every image twice: ``inputs`` are (2B, 3, H, W).

    The first B are the unchanged images. The other B are the same with contrast, brightness and saturation times 0.5
    to 1.5 and a black rectangle: in training inside one random labelled cell, in testing anywhere. There are B
    samples, since both views have the same geometry. In testing every image gets the same random numbers in any batch.

    Args:
        erased_area: smallest and largest share of the cell's box.
        erased_area_in_testing: smallest and largest share of the image.
        kwargs: as of mmdet's DetDataPreprocessor.

    Source: SparseDet (ICCV 2023) and its release, where test views are random each time. Its colour change along
    ImageNet's principal components is left out, since stained cells have other components.
    """

    def __init__(self, *, erased_area: tuple[float, float] = (0.4, 0.7),
                 erased_area_in_testing: tuple[float, float] = (0.01, 0.05), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.erased_area = erased_area
        self.erased_area_in_testing = erased_area_in_testing

    def forward(self, data: dict, training: bool = False) -> dict:
        """A collated batch, ``inputs`` and ``data_samples``, both of length B -> 2B images and B samples."""
        images = list(data['inputs'])
        samples = data.get('data_samples') or [None] * len(images)
        strong = [self.strong(image, sample, training) for image, sample in zip(images, samples)]
        return super().forward(dict(data, inputs=images + strong), training)

    def strong(self, image: Tensor, sample: Any, training: bool) -> Tensor:
        """The strong view of one image (3, H, W)."""
        if not training:
            whole = torch.tensor([0.0, 0.0, image.shape[2], image.shape[1]])
            return strong_view(image, whole, self.erased_area_in_testing, Generator().manual_seed(0))
        boxes = get_box_tensor(sample.gt_instances.bboxes)
        draw = torch.default_generator
        box = boxes[int(torch.randint(len(boxes), (1,), generator=draw))] if len(boxes) else None
        return strong_view(image, box, self.erased_area, draw)
