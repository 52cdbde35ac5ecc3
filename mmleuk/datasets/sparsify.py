"""Complete annotations -> those of a random patch of each image.

What a lab with complete annotations needs to measure what sparse ones would have cost: train on the written file, test
on a complete one. Sparse-LeukemiaAttri's protocol (LLD, section 3), which `train_sparse.json` of the rendered films
follows, too.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import torch

from mmleuk.datasets.annotations import FilmImage, RecordId
from mmleuk.datasets.converters.coco_files import CocoFile
from mmleuk.errors import UserError
from mmleuk.structures.regions import boxes_in_sight
from mmleuk.structures.sampled_regions import sample_region


def sparsify(coco: CocoFile, fraction: float = 0.2, seed: int = 0) -> dict[str, Any]:
    """Keep the cells of one random region per image.

    A region holds at least one cell's centre, where its image has a cell. A cell stays, with all its keys, when its
    centre lies in the region, and is not cut: it may stick out. A crowd stays as soon as it touches the region, since
    nothing in it is known to be background.

    Args:
        coco: completely annotated.
        fraction: annotated share of each image's area, in (0, 1].
        seed: not negative. An image's region depends on it, on the image's ``file_name`` and on its cells alone.

    Returns:
        Content of a COCO JSON: ``coco``'s with an ``annotated_region`` [x, y, w, h] in whole pixels per image.

    Raises:
        UserError: fraction or seed is out of range, or an image has regions already.
    """
    if not 0 < fraction <= 1:
        raise UserError(f'--fraction is {fraction:g}; it is a share of the area, above 0 and at most 1')
    if seed < 0:
        raise UserError(f'--seed is {seed}; seeds start at 0')
    regions: dict[RecordId, list[int]] = {}
    kept: set[RecordId] = set()
    for image in coco.images:
        if not image.is_known_everywhere:
            raise UserError(f'{coco.path}: image {image.file_name} has an annotated_region, so it is sparse already; '
                            'start from complete annotations')
        regions[image.image_id], cells = _sample(image, fraction, seed)
        kept |= cells
    return coco.data | dict(
        images=[entry | dict(annotated_region=regions[entry['id']]) for entry in coco.data['images']],
        annotations=[entry for entry in coco.data['annotations'] if entry['id'] in kept])


def _sample(image: FilmImage, fraction: float, seed: int) -> tuple[list[int], set[RecordId]]:
    """An image's region and the ids of the annotations that stay."""
    boxes = np.array([cell.box_xyxy for cell in image.cells], float).reshape(-1, 4)
    crowd = np.array([cell.ignore for cell in image.cells], bool)
    rng = np.random.default_rng([seed, zlib.crc32(image.file_name.encode())])
    single = boxes[~crowd]
    x, y, w, h = region = sample_region(np.hstack([single[:, :2], single[:, 2:] - single[:, :2]]).tolist(),
                                        (image.width, image.height), fraction, rng)
    window = torch.tensor([[x, y, x + w, y + h]])
    stays = boxes_in_sight(torch.from_numpy(boxes), torch.from_numpy(crowd), window).tolist()
    return region, {cell.annotation_id for cell, kept in zip(image.cells, stays, strict=True) if kept}
