"""Predictions on one view of an image, moved to another view of it.

Legend: K predictions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy, bbox_xyxy_to_cxcywh
from mmengine.structures import InstanceData
from torch import Tensor

from mmleuk.errors import UserError
from mmleuk.models.labellers.base import box_area

MIN_SIDE, MIN_VISIBLE = 2.0, 0.1
"""Pixels, and share of a box's area, that another view has to show; those of :class:`mmleuk.RandomAffine`."""
MIN_INDEPENDENCE = 0.2
"""Of 1 without a turn or shear and 0 at 45 degrees, where many boxes have the same hull."""


def to_view(predictions: InstanceData, seen: Mapping[str, Any], wanted: Mapping[str, Any]) -> InstanceData:
    """Predictions on one view of an image in the pixels of another one.

    A view shows a labelled cell's box as the hull of its projection, so that is what a network learns to predict
    there. A predicted box is therefore taken for such a hull. It becomes the hull that the wanted view shows of the
    same box of the file; the way there and back changes nothing. Hulls of hulls would grow with each turn or shear.

    Boxes are clipped to the image. Those that are hardly visible are left out, by the rules of
    :class:`mmleuk.RandomAffine` for labelled cells, and so are boxes too narrow to be a hull. Views without a recorded
    geometry have the same.

    Args:
        predictions: ``bboxes`` (K, 4) in the pixels of the view ``seen``.
        seen: metainfo with the affine ``homography_matrix`` (3, 3), from the file's pixels to the view's, where it is
            recorded.
        wanted: the same of the other view, with its ``img_shape``.

    Raises:
        UserError: only one of the views has recorded its geometry, or the seen one is turned by nearly 45 degrees.
    """
    before, after = (meta.get('homography_matrix') for meta in (seen, wanted))
    if (before is None) != (after is None):
        raise UserError("one of an image's views has no homography_matrix; give PackCells of every branch the same "
                        'meta_keys')
    if before is None or after is None or np.array_equal(before, after):
        return predictions
    check_turn(before, seen)
    between = after @ np.linalg.inv(before)
    centres, seen_sides = bbox_xyxy_to_cxcywh(predictions.bboxes).split(2, 1)
    centres = moved_by(centres, between[:2, :2]) + centres.new_tensor(between[:2, 2])
    sides = moved_by(seen_sides, np.linalg.inv(abs(before[:2, :2])))
    hulls = bbox_cxcywh_to_xyxy(torch.cat([centres, moved_by(sides, abs(after[:2, :2]))], 1))
    moved = predictions[:]
    height, width = wanted['img_shape'][:2]
    moved.bboxes = torch.min(hulls.clamp(0), hulls.new_tensor([width, height, width, height]))
    shown = moved.bboxes[:, 2:] - moved.bboxes[:, :2]
    visible = (shown > MIN_SIDE).all(1) & (box_area(moved.bboxes) > MIN_VISIBLE * box_area(hulls))
    return moved[visible & (sides > 0).all(1)]


def check_turn(matrix: np.ndarray, meta: Mapping[str, Any]) -> None:
    """Refuse a view (3, 3) in which a box's hull hardly tells its sides: two sides follow from two equations."""
    hull = abs(matrix[:2, :2])
    if abs(np.linalg.det(hull)) < MIN_INDEPENDENCE * np.prod(np.linalg.norm(hull, axis=1)):
        raise UserError(f'{meta.get("img_path", "an image")}: a view is turned or sheared so far that predicted boxes '
                        'do not tell the sides of a cell; turn by at most 35 degrees where labels move between views')


def moved_by(vectors: Tensor, matrix: np.ndarray) -> Tensor:
    """Vectors (K, 2) times (2, 2). In mixed precision a matrix product would round pixels to 8 bits."""
    x, y = vectors.new_tensor(matrix).T
    return vectors[:, :1] * x + vectors[:, 1:] * y
