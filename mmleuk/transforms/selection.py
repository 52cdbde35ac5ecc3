"""Keeping some of an image's cells, in every key that has one entry per cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mmleuk.structures import CellBoxes, points_in_regions

CELL_KEYS = ('gt_bboxes_labels', 'gt_ignore_flags')


def select_cells(results: dict[str, Any], keep: Tensor) -> None:
    """Replace boxes, labels and ignore flags in ``results`` by those where ``keep`` (N,) bool is True."""
    results['gt_bboxes'] = results['gt_bboxes'][keep]
    chosen = keep.numpy()
    for key in CELL_KEYS:
        if key in results:
            results[key] = results[key][chosen]


def cells_in_sight(results: Mapping[str, Any], boxes: CellBoxes, windows: Tensor) -> Tensor:
    """Which cells stay when only some windows of an image are seen.

    Cells whose centre lies in a window, and ignored boxes (crowds, VOC's difficult objects) as soon as they reach into
    one: without them their part in the window would be taken for background.

    Args:
        results: with ``gt_ignore_flags`` (N,) bool, if there are any.
        boxes: N boxes in the windows' pixels, not clipped yet.
        windows: (W, 4) xyxy.

    Returns:
        (N,) bool.
    """
    keep = points_in_regions(boxes.centers, windows)
    if 'gt_ignore_flags' not in results:
        return keep
    low = torch.maximum(boxes.tensor[:, None, :2], windows[:, :2])
    high = torch.minimum(boxes.tensor[:, None, 2:], windows[:, 2:])
    return keep | (torch.from_numpy(results['gt_ignore_flags']) & (high > low).all(-1).any(-1))
