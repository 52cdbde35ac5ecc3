"""Geometry of annotated regions: where the annotation of an image is complete.

Legend: R regions, P points, N boxes. A region is an axis-parallel rectangle, float xyxy in pixels, its
borders included. No region (R = 0) means that nothing is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mmleuk.errors import UserError


def points_in_regions(points_xy: Tensor, regions_xyxy: Tensor) -> Tensor:
    """Tell which points lie in at least one region.

    Args:
        points_xy: (..., 2) pixels.
        regions_xyxy: (R, 4) pixels, R may be 0.

    Returns:
        (...) bool.

    Example:
        >>> points_in_regions(torch.tensor([[1., 1.], [5., 5.]]), torch.tensor([[0., 0., 2., 2.]])).tolist()
        [True, False]
    """
    points = points_xy.unsqueeze(-2)
    regions = regions_xyxy.to(points)
    above = points >= regions[:, :2]
    below = points <= regions[:, 2:]
    return (above & below).all(-1).any(-1)


def background_is_known(points_xy: Tensor, metainfo: Mapping) -> Tensor:
    """Find where background may be learnt: inside an annotated region and outside all ignored boxes.

    Args:
        points_xy: (P, 2) pixels.
        metainfo: of the image's labels: ``annotated_regions`` (R, 4), and ``ignored_boxes`` (M, 4) if any.

    Returns:
        (P,) bool.

    Raises:
        UserError: there are no ``annotated_regions``; the whole image is never assumed.
    """
    regions, = regions_of([metainfo], like=points_xy)
    known = points_in_regions(points_xy, regions)
    return known & ~points_in_regions(points_xy, metainfo['ignored_boxes']) if 'ignored_boxes' in metainfo else known


def boxes_in_sight(boxes_xyxy: Tensor, ignored: Tensor, windows_xyxy: Tensor) -> Tensor:
    """Find the boxes to keep when only some windows of an image are used.

    A box is kept if its centre lies in a window. An ignored box (a crowd, VOC's difficult object) is kept if it
    overlaps a window; otherwise its part in the window would be background.

    Args:
        boxes_xyxy: (N, 4), not clipped to the windows yet.
        ignored: (N,) bool.
        windows_xyxy: (W, 4) in the boxes' pixels.

    Returns:
        (N,) bool.

    Example:
        >>> boxes = torch.tensor([[0., 0., 8., 8.], [3., 0., 9., 4.], [3., 0., 9., 4.]])
        >>> boxes_in_sight(boxes, torch.tensor([False, False, True]), torch.tensor([[0., 0., 4., 4.]])).tolist()
        [True, False, True]
    """
    windows = windows_xyxy.to(boxes_xyxy)
    low = torch.maximum(boxes_xyxy[:, None, :2], windows[:, :2])
    high = torch.minimum(boxes_xyxy[:, None, 2:], windows[:, 2:])
    centres = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    return points_in_regions(centres, windows) | (ignored & (high > low).all(-1).any(-1))


def clip_regions(regions_xyxy: Tensor, image_hw: tuple[int, int]) -> Tensor:
    """Cut regions at the image's border and drop empty ones; (R, 4) -> (R', 4)."""
    return drop_empty_regions(clip_boxes(regions_xyxy, image_hw))


def clip_boxes(boxes_xyxy: Tensor, image_hw: tuple[int, int]) -> Tensor:
    """Cut boxes at the image's border; (N, 4) -> (N, 4)."""
    height, width = image_hw
    return boxes_xyxy.clamp(min=0).minimum(boxes_xyxy.new_tensor((width, height, width, height)))


def drop_empty_regions(regions_xyxy: Tensor) -> Tensor:
    """Keep regions of positive width and height; (R, 4) -> (R', 4)."""
    sound = regions_xyxy[:, 2:] > regions_xyxy[:, :2]
    return regions_xyxy if sound.all() else regions_xyxy[sound.all(1)]  # selecting by a mask is slower


def intersect_regions(first_xyxy: Tensor, second_xyxy: Tensor) -> Tensor:
    """Rectangles known to both sets: (R, 4) and (S, 4) -> (at most R * S, 4)."""
    low = torch.maximum(first_xyxy[:, None, :2], second_xyxy[None, :, :2])
    high = torch.minimum(first_xyxy[:, None, 2:], second_xyxy[None, :, 2:])
    return drop_empty_regions(torch.cat([low, high], -1).reshape(-1, 4))


def regions_of(batch_img_metas: Sequence[Mapping], like: Tensor) -> list[Tensor]:
    """Annotated regions (R, 4) of every image, on the device of ``like``.

    Raises:
        UserError: a sample has none; the whole image is never assumed.
    """
    regions = []
    for meta in batch_img_metas:
        if 'annotated_regions' not in meta:
            raise UserError(f"{meta.get('img_path', 'an image')}: the sample carries no annotated_regions; end the "
                            "pipeline with mmleuk.PackCells and load with mmleuk.LoadCellAnnotations")
        boxes = torch.as_tensor(meta['annotated_regions'], dtype=torch.float32, device=like.device)
        regions.append(boxes.reshape(-1, 4))
    return regions
