"""Keeping some of an image's cells, in every key that has one entry per cell."""

from __future__ import annotations

from typing import Any

from torch import Tensor

CELL_KEYS = ('gt_bboxes_labels', 'gt_ignore_flags')


def select_cells(results: dict[str, Any], keep: Tensor) -> None:
    """Replace boxes, labels and ignore flags in ``results`` by those where ``keep`` (N,) bool is True."""
    results['gt_bboxes'] = results['gt_bboxes'][keep]
    chosen = keep.numpy()
    for key in CELL_KEYS:
        if key in results:
            results[key] = results[key][chosen]
