"""Predictions on one view of an image, moved to another view of it.

Legend: K predictions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from mmdet.structures.bbox import bbox_project
from mmengine.structures import InstanceData

from mmleuk.errors import UserError
from mmleuk.models.labellers.base import box_area

MIN_SIDE, MIN_VISIBLE = 2.0, 0.1
"""Pixels, and share of a box's area, that another view has to show; those of :class:`mmleuk.RandomAffine`."""


def to_view(predictions: InstanceData, seen: Mapping[str, Any], wanted: Mapping[str, Any]) -> InstanceData:
    """Predictions on one view of an image in the pixels of another one.

    Boxes become the hull of their projection, clipped to the image. Those that are hardly visible there are left out,
    by the rules of :class:`mmleuk.RandomAffine` for labelled cells. Views without a recorded geometry have the same.

    Args:
        predictions: ``bboxes`` (K, 4) in the pixels of the view ``seen``.
        seen: metainfo with ``homography_matrix`` (3, 3), from the file's pixels to the view's, where it is recorded.
        wanted: the same of the other view, with its ``img_shape``.

    Raises:
        UserError: only one of the views has recorded its geometry.
    """
    before, after = (meta.get('homography_matrix') for meta in (seen, wanted))
    if (before is None) != (after is None):
        raise UserError("one of an image's views has no homography_matrix; give PackCells of every branch the same "
                        'meta_keys')
    if before is None or after is None or np.array_equal(before, after):
        return predictions
    between = predictions.bboxes.new_tensor(after @ np.linalg.inv(before))
    hulls = bbox_project(predictions.bboxes, between)
    moved = predictions[:]
    moved.bboxes = bbox_project(predictions.bboxes, between, wanted['img_shape'])
    sides = moved.bboxes[:, 2:] - moved.bboxes[:, :2]
    return moved[(sides > MIN_SIDE).all(1) & (box_area(moved.bboxes) > MIN_VISIBLE * box_area(hulls))]
