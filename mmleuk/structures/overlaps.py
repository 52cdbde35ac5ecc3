"""Of detections that overlap much only the one with the highest score stays, whatever the classes."""

from __future__ import annotations

import numpy as np


def suppress_overlaps(boxes_xyxy: np.ndarray, scores: np.ndarray, max_overlap: float) -> np.ndarray:
    """Indices (K,) of the detections to keep, the highest score first.

    Detectors suppress overlaps within a class, and mAP rewards a second guess of the class; a person who counts cells
    wants none.

    Args:
        boxes_xyxy: (N, 4) pixels; compared in float32, as detectors do.
        scores: (N,).
        max_overlap: largest IoU that two kept boxes may have; 1 keeps everything.

    Example:
        >>> boxes = np.array([[0., 0., 10., 10.], [0., 0., 10., 9.], [20., 20., 30., 30.]])
        >>> suppress_overlaps(boxes, np.array([0.5, 0.9, 0.3]), 0.5).tolist()
        [1, 2]
    """
    order: np.ndarray = np.argsort(-np.asarray(scores, np.float32), kind='stable')
    if max_overlap >= 1 or not len(order):
        return order
    boxes = np.asarray(boxes_xyxy, np.float32)[order]
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept: list[int] = []
    waiting: np.ndarray = np.arange(len(boxes))
    while len(waiting):
        first, waiting = int(waiting[0]), waiting[1:]
        kept.append(first)
        corner = np.maximum(boxes[first, :2], boxes[waiting, :2])
        sides = np.maximum(np.minimum(boxes[first, 2:], boxes[waiting, 2:]) - corner, 0)
        shared = sides[:, 0] * sides[:, 1]
        # Without a division: two boxes without an area don't overlap.
        waiting = waiting[shared <= np.float32(max_overlap) * (areas[first] + areas[waiting] - shared)]
    return order[np.array(kept)]
