"""Find where to put a box so that it overlaps another with a given IoU.

Legend: N boxes; boxes are xyxy in pixels.
"""

from __future__ import annotations

import math

import numpy as np


def box_ious(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """IoU of one box (4,) with each of (N, 4); (N,)."""
    shared = _shared(box, others)
    areas = (others[:, 2:] - others[:, :2]).prod(1)
    return shared / np.maximum((box[2:] - box[:2]).prod() + areas - shared, 1e-9)


def covered_shares(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Share of each of (N, 4) that the box (4,) covers; (N,)."""
    return _shared(box, others) / np.maximum((others[:, 2:] - others[:, :2]).prod(1), 1e-9)


def _shared(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    return np.clip(sides, 0, None).prod(1)


def place_beside(cell: np.ndarray, size_wh: tuple[int, int], iou: float, angle: float) -> tuple[int, int] | None:
    """Corner (left, top) in whole pixels of a box of ``size_wh`` whose IoU with ``cell`` is about ``iou``.

    The box moves away from the cell's centre in the direction ``angle`` until the IoU has fallen to the wanted value.

    Returns:
        None where even lying on each other their IoU is smaller.

    Example:
        >>> place_beside(np.array([0., 0., 10., 10.]), (10, 10), 1 / 3, 0.0)
        (5, 0)
    """
    centre, half = (cell[:2] + cell[2:]) / 2, np.array(size_wh) / 2
    direction = np.array([math.cos(angle), math.sin(angle)])

    def overlap(distance: float) -> float:
        middle = centre + distance * direction
        return float(box_ious(np.concatenate([middle - half, middle + half]), cell[None])[0])

    if overlap(0.0) < iou:
        return None
    near, far = 0.0, float(np.hypot(*(cell[2:] - cell[:2])) + np.hypot(*size_wh))
    for _ in range(40):
        middle = (near + far) / 2
        near, far = (middle, far) if overlap(middle) > iou else (near, middle)
    left, top = np.round(centre + near * direction - half).astype(int).tolist()
    return left, top
