"""Scale a whole image to fit a given frame."""

from __future__ import annotations

from typing import Any

import mmcv

from mmleuk.structures import clip_regions
from mmleuk.transforms.masks import refuse_part_mask
from mmleuk.transforms.selection import CELL_KEYS


def fit_picture(results: dict[str, Any], frame_wh: tuple[int, int]) -> dict[str, Any]:
    """Scale an image to the largest size within ``frame_wh`` that keeps its aspect ratio, in whole pixels.

    Args:
        results: with ``img`` (H, W, ...), ``gt_bboxes`` and perhaps ``gt_masks``; they stay unchanged.

    Returns:
        The image, its cells and masks in its pixels, regions cut at its border; no other key.

    Raises:
        UserError: there is a mask of parts, which would stay where it is.
    """
    refuse_part_mask(results)
    image, boxes = results['img'], results['gt_bboxes'].clone()
    height, width = image.shape[:2]
    new_wh = fitted_size((width, height), frame_wh)
    if new_wh != (width, height):
        image = mmcv.imresize(image, new_wh)
        boxes.rescale_((new_wh[0] / width, new_wh[1] / height))
    boxes.regions = clip_regions(boxes.regions, (new_wh[1], new_wh[0]))
    fitted = {key: results[key] for key in CELL_KEYS} | dict(img=image, gt_bboxes=boxes)
    if 'gt_masks' in results:
        fitted['gt_masks'] = results['gt_masks'].resize((new_wh[1], new_wh[0]))
    return fitted


def fitted_size(image_wh: tuple[int, int], frame_wh: tuple[int, int]) -> tuple[int, int]:
    """The largest size within a frame that keeps an image's aspect ratio, in whole pixels.

    >>> fitted_size((640, 480), (320, 320))
    (320, 240)
    """
    ratio = min(frame_wh[0] / image_wh[0], frame_wh[1] / image_wh[1])
    return max(round(image_wh[0] * ratio), 1), max(round(image_wh[1] * ratio), 1)
