"""Random images of a few cells, made for speed and not for looks.

Legend: N cells, A attributes, R regions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmleuk.schema import IGNORE
from mmleuk.structures import points_in_regions

BACKGROUND, CELL = (230, 215, 225), 90


def random_record(rng: np.random.Generator, *, height: int = 64, width: int = 80, num_cells: int = 5,
                  num_classes: int = 3, cardinalities: tuple[int, ...] = (2, 2, 3), num_regions: int = 1,
                  annotation: str = 'sparse', ignored: float = 0.0) -> dict[str, Any]:
    """A record as ``CellDataset.get_data_info`` gives it, without an image file behind it.

    Args:
        rng: every draw comes from here.
        height: of the image in pixels, at least 16.
        width: of the image in pixels, at least 16.
        num_cells: N; sparse records keep only those whose centre lies in a region.
        num_classes: labels are drawn from 0 to num_classes - 1.
        cardinalities: number of values of each attribute; a quarter of the values is IGNORE.
        num_regions: R of a sparse record; 0 means that nothing is known.
        annotation: 'complete' or 'sparse'.
        ignored: part of the cells that are flagged as ignored.

    Example:
        >>> record = random_record(np.random.default_rng(0), num_cells=2, annotation='complete')
        >>> len(record['instances']), record['num_attributes'], record['annotated_regions']
        (2, 3, [[0.0, 0.0, 80.0, 64.0]])
    """
    size = np.array([width, height])
    regions = [[0.0, 0.0, float(width), float(height)]]
    if annotation == 'sparse':
        regions = [_random_box(rng, size, 0.3, 0.7) for _ in range(num_regions)]
    instances = []
    for _ in range(num_cells):
        box = _random_box(rng, size, 0.1, 0.3)
        centre = torch.tensor(box).reshape(2, 2).mean(0)
        if points_in_regions(centre, torch.tensor(regions).reshape(-1, 4)):
            values = [int(rng.integers(count)) if rng.random() < 0.75 else IGNORE for count in cardinalities]
            instances.append(dict(bbox=box, bbox_label=int(rng.integers(num_classes)),
                                  ignore_flag=int(rng.random() < ignored), attributes=values))
    return dict(img_path='film.png', img_id=int(rng.integers(1000)), height=height, width=width, instances=instances,
                annotated_regions=regions, annotation=annotation, num_attributes=len(cardinalities), domain=None,
                factors=None, patient=None, diagnosis=None)


def _random_box(rng: np.random.Generator, size_wh: np.ndarray, least: float, most: float) -> list[float]:
    sides = np.maximum(size_wh * rng.uniform(least, most, 2), 4)
    corner = rng.uniform(0, 1, 2) * (size_wh - sides)
    return [float(edge) for edge in np.round([*corner, *(corner + sides)])]


def draw_image(record: dict[str, Any]) -> np.ndarray:
    """(H, W, 3) uint8: pale background, one filled rectangle per cell, its grey by its class."""
    image = np.full((record['height'], record['width'], 3), BACKGROUND, dtype=np.uint8)
    for instance in record['instances']:
        x1, y1, x2, y2 = (int(edge) for edge in instance['bbox'])
        image[y1:y2, x1:x2] = CELL + 10 * instance['bbox_label']
    return image


def tiny_results(rng: np.random.Generator, **options: Any) -> dict[str, Any]:
    """Results as after loading: ``img`` (H, W, 3) uint8, ``gt_bboxes`` as CellBoxes; options of ``random_record``."""
    from mmleuk.transforms.loading import LoadCellAnnotations  # keeps image transforms out of plain structure tests
    record = random_record(rng, **options)
    image = draw_image(record)
    shape = image.shape[:2]
    return LoadCellAnnotations()(record | dict(img=image, img_shape=shape, ori_shape=shape))


def tiny_sample(rng: np.random.Generator, **options: Any) -> tuple[Tensor, Any]:
    """Input (3, H, W) uint8 and its data sample, packed; options of ``random_record``."""
    from mmleuk.transforms.formatting import PackCells
    results = tiny_results(rng, **options) | dict(scale_factor=(1.0, 1.0), flip=False, flip_direction=None)
    packed = PackCells()(results)
    return packed['inputs'], packed['data_samples']
