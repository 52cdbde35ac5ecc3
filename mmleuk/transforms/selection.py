"""Keep some of an image's cells, in every key that has one entry per cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmleuk.structures import CellBoxes
from mmleuk.structures.regions import boxes_in_sight

CELL_KEYS = ('gt_bboxes_labels', 'gt_ignore_flags')
"""Arrays with one entry per cell; ``gt_bboxes`` and, if present, ``gt_masks`` also have one."""


def select_cells(results: dict[str, Any], keep: Tensor) -> None:
    """Replace boxes, labels, ignore flags and masks in ``results`` by those where ``keep`` (N,) bool is True."""
    results['gt_bboxes'] = results['gt_bboxes'][keep]
    chosen = keep.numpy()
    for key in (*CELL_KEYS, 'gt_masks'):
        if key in results:
            results[key] = results[key][chosen]


def cells_in_sight(results: Mapping[str, Any], boxes: CellBoxes, windows: Tensor) -> Tensor:
    """:func:`boxes_in_sight` of a sample's cells: (N,) bool.

    Args:
        results: with ``gt_ignore_flags`` (N,) bool, if there are any.
        boxes: N boxes in the windows' pixels, not clipped yet.
        windows: (W, 4) xyxy.
    """
    ignored = results.get('gt_ignore_flags', np.zeros(len(boxes), bool))
    return boxes_in_sight(boxes.tensor, torch.from_numpy(ignored), windows)
