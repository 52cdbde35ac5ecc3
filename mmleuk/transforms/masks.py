"""Masks of cells move with the image and its boxes.

MMDetection's own resizing, flipping, cropping, padding and filtering keep ``gt_masks`` in step; these functions do it
for the transforms of this package.

Legend: N cells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from mmdet.structures.mask import BitmapMasks

from mmleuk.errors import UserError

Window = tuple[slice, slice]
"""Rows and columns."""


def move_masks(results: Mapping[str, Any], move: Callable[[np.ndarray], np.ndarray]) -> dict[str, BitmapMasks]:
    """``dict(gt_masks=...)`` of a sample's masks, moved all at once; {} if it has none.

    Args:
        results: with ``gt_masks`` of N cells, if any.
        move: (N, H, W) uint8 -> (N, H', W').

    Raises:
        UserError: there is a mask of parts, which would stay where it is.
    """
    refuse_part_mask(results)
    if 'gt_masks' not in results:
        return {}
    moved = move(results['gt_masks'].to_ndarray())
    return dict(gt_masks=BitmapMasks(moved, *moved.shape[1:]))


def paste(pixels: np.ndarray, canvas_hw: tuple[int, int], to: Window, of: Window) -> np.ndarray:
    """(N, H, W) -> (N, *canvas_hw): the window ``of`` each mask at ``to``; 0 elsewhere."""
    canvas = np.zeros((len(pixels), *canvas_hw), pixels.dtype)
    canvas[:, to[0], to[1]] = pixels[:, of[0], of[1]]
    return canvas


def join_masks(parts: Sequence[Mapping[str, Any]]) -> dict[str, BitmapMasks]:
    """``dict(gt_masks=...)`` of all parts' cells, whose masks have one size; {} if no part has masks.

    Raises:
        UserError: some parts have masks, others have none, or one has a mask of parts.
    """
    for part in parts:
        refuse_part_mask(part)
    masks = [part['gt_masks'] for part in parts if 'gt_masks' in part]
    if not masks:
        return {}
    if len(masks) < len(parts):
        raise UserError('images with and without masks are mixed in one image; load all with masks, or all without')
    return dict(gt_masks=BitmapMasks.cat(masks))


def refuse_masks(results: Mapping[str, Any], owner: str) -> None:
    """Refuse masks in a transform that can't move them.

    Raises:
        UserError: the results hold masks.
    """
    refuse_part_mask(results)
    if 'gt_masks' in results:
        raise UserError(f'mmleuk.{owner} changes cells, but moves no masks; load without masks, or leave it out')


def refuse_part_mask(results: Mapping[str, Any]) -> None:
    """Refuse a mask of parts (``gt_seg_map``) in transforms that can't move it.

    Raises:
        UserError: the results hold one.
    """
    if 'gt_seg_map' in results:
        raise UserError(f"{results.get('img_path')}: this pipeline moves the cells, but not the mask of their parts; "
                        "use Resize, RandomFlip, RandomCrop and Pad of MMDetection, mmleuk.CenterCrop or "
                        "mmleuk.CropCell")
