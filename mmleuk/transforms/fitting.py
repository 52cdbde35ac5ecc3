"""A whole picture at the size that it has in a given frame."""

from __future__ import annotations

from typing import Any

import mmcv
import numpy as np

from mmleuk.structures import CellBoxes, clip_regions


def fit_picture(results: dict[str, Any], frame_wh: tuple[int, int]) -> tuple[np.ndarray, CellBoxes]:
    """Scale a picture to the largest size within ``frame_wh`` that keeps its shape, to the whole pixel.

    Args:
        results: with ``img`` (H, W, ...) and ``gt_bboxes``; they are only read.

    Returns:
        The picture, and its boxes and regions in its pixels, regions cut at its border.
    """
    image, boxes = results['img'], results['gt_bboxes'].clone()
    height, width = image.shape[:2]
    ratio = min(frame_wh[0] / width, frame_wh[1] / height)
    new_wh = max(round(width * ratio), 1), max(round(height * ratio), 1)
    if new_wh != (width, height):
        image = mmcv.imresize(image, new_wh)
        boxes.rescale_((new_wh[0] / width, new_wh[1] / height))
    boxes.regions = clip_regions(boxes.regions, (new_wh[1], new_wh[0]))
    return image, boxes
