"""Which detection found which cell.

Legend: P predictions, G ground-truth cells.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

UNMATCHED = -1
"""A detection that found no cell."""

DISREGARDED = -2
"""A detection on something marked to be ignored: neither right nor wrong."""


def pairwise_iou(first_xyxy: NDArray, second_xyxy: NDArray, crowd: NDArray | None = None) -> NDArray[np.float64]:
    """IoU of every pair of boxes, as pycocotools computes it.

    Args:
        first_xyxy: (P, 4) pixels.
        second_xyxy: (G, 4) pixels.
        crowd: (G,) bool; for these the intersection is divided by the first box's area alone.

    Returns:
        (P, G).

    Example:
        >>> pairwise_iou(np.array([[0, 0, 2, 1]]), np.array([[1, 0, 3, 1], [5, 5, 6, 6]])).round(3).tolist()
        [[0.333, 0.0]]
    """
    if not len(first_xyxy) or not len(second_xyxy):
        return np.zeros((len(first_xyxy), len(second_xyxy)))
    flags = np.zeros(len(second_xyxy), np.uint8) if crowd is None else np.asarray(crowd, np.uint8)
    return coco_mask.iou(_xywh(first_xyxy), _xywh(second_xyxy), flags)


def _xywh(boxes_xyxy: NDArray) -> NDArray[np.float64]:
    boxes = np.asarray(boxes_xyxy, np.float64)
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)


def match_detections(iou: NDArray, *, min_iou: float, ignored: NDArray,
                     allowed: NDArray | None = None) -> NDArray[np.int64]:
    """Greedy one-to-one matching in the order of the detections, as COCO matches.

    Each detection takes the free cell with which it has the largest IoU. Where none is left, one on an ignored cell is
    disregarded; an ignored cell can take any number.

    Args:
        iou: (P, G), detections by descending score.
        min_iou: smallest IoU of a match.
        ignored: (G,) bool.
        allowed: (P, G) bool, pairs that may match; all by default.

    Returns:
        (P,) index of the cell, UNMATCHED or DISREGARDED.
    """
    candidates = np.where(iou >= min_iou, iou, 0.0)
    if allowed is not None:
        candidates = np.where(allowed, candidates, 0.0)
    free = ~np.asarray(ignored, bool)
    on_ignored = (candidates[:, ~free] > 0).any(1)
    matches = np.where(on_ignored, DISREGARDED, UNMATCHED).astype(np.int64)
    for row, values in enumerate(candidates):
        values = np.where(free, values, 0.0)
        if values.size and values.max() > 0:
            matches[row] = values.argmax()
            free[matches[row]] = False
    return matches
