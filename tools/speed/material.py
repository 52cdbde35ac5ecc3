"""What both sides work on: the same fields, the same annotations, the same batches and the same weights."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from mmleuk.errors import UserError

SIZES = {320: 16, 640: 4}
"""Pixels of the network's input -> images of a training batch."""


def prepare(folder: Path, annotations: Path, images: Path, checkpoint: Path, config: str,
            count: int) -> dict[str, Any]:
    """Write everything that the sides read into a folder.

    Args:
        folder: an empty one.
        annotations: COCO JSON, completely annotated.
        images: folder of its images.
        checkpoint: weights of the config's YOLOv5.
        count: of images that are used, the first ones.

    Returns:
        The setup: paths as text, classes, and size of a training batch by input size.
    """
    coco = json.loads(annotations.read_text(encoding='utf-8'))
    chosen = coco['images'][:count]
    if len(chosen) < max(SIZES.values()):
        raise UserError(f'{annotations}: has {len(chosen)} images; a training batch takes {max(SIZES.values())}')
    ids = {image['id'] for image in chosen}
    cells = [cell for cell in coco['annotations'] if cell['image_id'] in ids]
    (folder / 'train.json').write_text(json.dumps({**coco, 'images': chosen, 'annotations': cells}))
    labels = {category['id']: index for index, category in enumerate(coco['categories'])}
    rows = {image['id']: [_row(cell, image, labels) for cell in cells if cell['image_id'] == image['id']]
            for image in chosen}
    _write_yolo(folder / 'yolo', images, chosen, rows)
    for size, batch in SIZES.items():
        _write_batch(folder / f'batch_{size}.npz', images, chosen[:batch], rows, size)
    return dict(folder=str(folder), config=config, checkpoint=str(checkpoint), images=str(images.absolute()),
                fields=[str((images / image['file_name']).absolute()) for image in chosen],
                classes=[category['name'] for category in coco['categories']], sizes=SIZES)


def write_weights(path: Path, checkpoint: Path, names: Sequence[str]) -> None:
    """The checkpoint's weights under the original's names, read from the other side.

    Raises:
        UserError: the checkpoint lacks one.
    """
    from convert_yolov5 import our_name
    state = torch.load(checkpoint, map_location='cpu', weights_only=False)['state_dict']
    carried = {}
    for name in names:
        if re.search(r'anchor|num_batches_tracked$', name):
            continue
        ours = our_name(name)
        if ours not in state:
            raise UserError(f'{checkpoint}: has no tensor {ours!r}; it is not a YOLOv5 of this size')
        carried[name] = state[ours]
    torch.save(carried, path)


def _row(cell: dict[str, Any], image: dict[str, Any], labels: dict[int, int]) -> list[float]:
    """Class, and centre, width and height as shares of the image's."""
    x, y, width, height = cell['bbox']
    return [labels[cell['category_id']], (x + width / 2) / image['width'], (y + height / 2) / image['height'],
            width / image['width'], height / image['height']]


def _write_yolo(folder: Path, images: Path, chosen: Sequence[dict[str, Any]], rows: dict[Any, list]) -> None:
    """Links to the images, and a text file for each: class, centre, width, height."""
    (folder / 'images').mkdir(parents=True)
    (folder / 'labels').mkdir()
    for number, image in enumerate(chosen):
        source = (images / image['file_name']).absolute()
        (folder / 'images' / f'{number:05d}{source.suffix}').symlink_to(source)
        text = ''.join(' '.join(f'{value:.9g}' for value in row) + '\n' for row in rows[image['id']])
        (folder / 'labels' / f'{number:05d}.txt').write_text(text)


def _write_batch(path: Path, images: Path, chosen: Sequence[dict[str, Any]], rows: dict[Any, list],
                 size: int) -> None:
    """``pixels`` (B, 3, size, size) uint8 BGR, stretched, and ``targets`` (N, 6): image, class and box as shares."""
    pixels = [cv2.resize(cv2.imread(str(images / image['file_name'])), (size, size)).transpose(2, 0, 1)
              for image in chosen]
    targets = [[index, *row] for index, image in enumerate(chosen) for row in rows[image['id']]]
    np.savez(path, pixels=np.stack(pixels), targets=np.array(targets, np.float32).reshape(-1, 6))
