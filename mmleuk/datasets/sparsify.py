"""Keep the annotations of one random region per image.

With it a lab that has complete annotations can measure the cost of sparse ones: train on the written file, test on a
complete one. The protocol is that of Sparse-LeukemiaAttri (LLD, section 3) and of `train_sparse.json` of the rendered
films.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mmleuk.datasets.converters.coco_files import CocoFile
from mmleuk.errors import UserError
from mmleuk.structures.ground_truth import ImageTruth, RecordId
from mmleuk.structures.regions import boxes_in_sight
from mmleuk.structures.sampled_regions import inside, sample_region

_ROUNDING = 1e-5  # tolerance for shares that other programs computed


def sparsify(coco: CocoFile, fraction: float = 0.2, seed: int = 0) -> dict[str, Any]:
    """Keep the cells of one random region per image: :func:`sparsify_nested` with one share."""
    sparse, = sparsify_nested(coco, [fraction], seed).values()
    return sparse


def sparsify_nested(coco: CocoFile, fractions: Sequence[float], seed: int = 0) -> dict[float, dict[str, Any]]:
    """Keep the cells of one random region per image, for one or several shares of its area.

    If the image has a cell, the region contains the centre of at least one. A cell is kept, with all its keys, if its
    centre lies in the region; it isn't cut and may stick out. A crowd is kept if it touches the region, since nothing
    in it is known to be background. The region of a smaller share lies inside that of the next larger one, so the
    shares differ only in how much is annotated, not in the part of the image.

    Args:
        coco: completely annotated.
        fractions: annotated shares of each image's area, in (0, 1], in any order.
        seed: not negative. An image's regions depend only on the seed, the image's ``file_name`` and its cells. The
            region of the largest share doesn't depend on the smaller ones.

    Returns:
        By share, the largest first: the content of ``coco`` with an ``annotated_region`` [x, y, w, h] in whole pixels
        per image.

    Raises:
        UserError: a share or the seed is out of range, a share is given twice, or an image already has regions.
    """
    for fraction in fractions:
        if not 0 < fraction <= 1 + _ROUNDING:
            raise UserError(f'--fraction is {fraction!r}; it is a share of the area, above 0 and at most 1')
    if not fractions or len(set(fractions)) < len(fractions):
        raise UserError(f'--fraction is {list(fractions)}; give every share once')
    if seed < 0:
        raise UserError(f'--seed is {seed}; seeds start at 0')
    shares = sorted(fractions, reverse=True)
    regions: dict[float, dict[RecordId, list[int]]] = {share: {} for share in shares}
    kept: dict[float, set[RecordId]] = {share: set() for share in shares}
    for image in coco.images:
        if not image.is_known_everywhere:
            raise UserError(f'{coco.path}: image {image.file_name} has an annotated_region, so it is sparse already; '
                            'start from complete annotations')
        for share, region in zip(shares, _sample(image, shares, seed), strict=True):
            regions[share][image.image_id] = region
            kept[share] |= _cells_in(image, region)
    return {share: coco.data | dict(
        images=[entry | dict(annotated_region=regions[share][entry['id']]) for entry in coco.data['images']],
        annotations=[entry for entry in coco.data['annotations'] if entry['id'] in kept[share]]) for share in shares}


def _sample(image: ImageTruth, shares: Sequence[float], seed: int) -> list[list[int]]:
    """An image's regions [x, y, w, h]; each lies inside the previous one."""
    rng = np.random.default_rng([seed, zlib.crc32(image.file_name.encode())])
    corners = np.array([cell.box_xyxy for cell in image.cells if not cell.ignore], float).reshape(-1, 4)
    boxes = np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]])
    regions, area = [[0, 0, image.width, image.height]], 1.0
    for share in shares:
        left, top, width, height = regions[-1]
        within = boxes[inside(boxes[:, :2] + boxes[:, 2:] / 2, regions[-1])]
        x, y, w, h = sample_region((within - [left, top, 0, 0]).tolist(), (width, height), min(share / area, 1.0), rng)
        regions.append([left + x, top + y, w, h])
        area = share
    return regions[1:]


def _cells_in(image: ImageTruth, region: Sequence[int]) -> set[RecordId]:
    """Ids of the kept annotations."""
    boxes = torch.tensor([cell.box_xyxy for cell in image.cells], dtype=torch.float64).reshape(-1, 4)
    crowd = torch.tensor([cell.ignore for cell in image.cells], dtype=torch.bool)
    x, y, w, h = region
    stays = boxes_in_sight(boxes, crowd, torch.tensor([[x, y, x + w, y + h]])).tolist()
    return {cell.annotation_id for cell, stay in zip(image.cells, stays, strict=True) if stay}
