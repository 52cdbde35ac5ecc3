"""Detections of overlapping windows -> each cell once.

Two windows show the part that they share twice. A detection of the one and a detection of the other are the same cell
if their boxes agree by IoU; if a window cuts one of them, only what both windows show is compared. So a whole box and
its cut half agree, and two cells that touch do not. A group holds at most one detection per window: what one window saw
as two cells stays two.

Legend: N detections, W windows, P pairs, K kept detections.
"""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from mmleuk.slides.windows import Plan

MIN_AGREEMENT = 0.5
"""IoU above which detections of two windows are one cell."""


def merge(boxes_xyxy: NDArray, scores: NDArray, window_of: NDArray, plan: Plan,
          min_agreement: float = MIN_AGREEMENT) -> NDArray[np.int64]:
    """Indices (K,) of the detections to keep, ascending.

    1. A cut detection is left out if another window shows its location whole: that window decides.
    2. Detections of different windows that agree are one cell. Its whole box stays, not a cut one; of several whole
       boxes the one with the highest score.

    Args:
        boxes_xyxy: (N, 4) pixels of the image.
        scores: (N,).
        window_of: (N,) index of the window in the plan.
        plan: the windows.
        min_agreement: IoU above which two detections are one cell.

    Example:
        >>> from mmleuk.slides.windows import plan_windows
        >>> plan = plan_windows((100, 180), 100, 20)  # share x = 80 to 100
        >>> boxes = np.array([[70., 10., 100., 40.], [83., 50., 95., 62.], [84., 50., 95., 62.], [96., 50., 110., 62.]])
        >>> merge(boxes, np.array([.9, .8, .7, .9]), np.array([0, 0, 1, 1]), plan).tolist()
        [0, 1, 3]
    """
    boxes = np.asarray(boxes_xyxy, np.float64).reshape(-1, 4)
    cut = plan.is_cut(boxes, window_of)
    kept = np.flatnonzero(~_is_whole_elsewhere(boxes, cut, plan))
    first, second = _agreeing_pairs(boxes[kept], cut[kept], window_of[kept], plan, min_agreement)
    group = _group(len(kept), window_of[kept], first, second)
    # Sort by group, whole boxes first, then by score; the first of each group stays. Equal ones: the first window's.
    order = np.lexsort((np.arange(len(kept)), -scores[kept], cut[kept], group))
    is_first = np.ones(len(order), bool)
    is_first[1:] = group[order][1:] != group[order][:-1]
    return np.sort(kept[order[is_first]])


def _is_whole_elsewhere(boxes: NDArray, cut: NDArray, plan: Plan) -> NDArray[np.bool_]:
    """(N,) cut boxes that lie in a window that doesn't cut them."""
    sides = plan.open_sides()
    height, width = plan.size_hw
    reach = float(height + width)  # finite, for shapely
    tree = shapely.STRtree(shapely.box(*np.clip(sides, -reach, reach).T))
    indices = np.flatnonzero(cut)
    found, _ = tree.query(shapely.box(*boxes[indices].T), predicate='covered_by')
    whole = np.zeros(len(boxes), bool)
    whole[indices[found]] = True
    return whole


def _agreeing_pairs(boxes: NDArray, cut: NDArray, window_of: NDArray, plan: Plan,
                    min_agreement: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(P,), (P,) indices of detections of different windows that agree, those that agree most first."""
    shapes = shapely.box(*boxes.T)
    first, second = shapely.STRtree(shapes).query(shapes)  # by bounding boxes, which they are
    other = (first < second) & (window_of[first] != window_of[second])
    first, second = first[other], second[other]
    windows = plan.windows_xyxy
    shared = _intersection(windows[window_of[first]], windows[window_of[second]])
    clipped = _iou(_intersection(boxes[first], shared), _intersection(boxes[second], shared))
    agreement = np.where(cut[first] | cut[second], clipped, _iou(boxes[first], boxes[second]))
    order = np.argsort(-agreement, kind='stable')
    order = order[agreement[order] > min_agreement]
    return first[order], second[order]


def _intersection(one: NDArray, other: NDArray) -> NDArray:
    return np.hstack([np.maximum(one[:, :2], other[:, :2]), np.minimum(one[:, 2:], other[:, 2:])])


def _area(boxes: NDArray) -> NDArray:
    return np.asarray(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(1))


def _iou(one: NDArray, other: NDArray) -> NDArray:
    both = _area(_intersection(one, other))
    return np.asarray(both / np.maximum(_area(one) + _area(other) - both, 1e-12))


def _group(count: int, window_of: NDArray, first: NDArray, second: NDArray) -> NDArray[np.int64]:
    """(N,) group of each detection: pairs join groups, in order, unless both groups have one of the same window."""
    group = list(range(count))
    members = {index: [index] for index in range(count)}
    windows = [{window} for window in window_of.tolist()]
    for one, other in zip(first.tolist(), second.tolist()):
        a, b = group[one], group[other]
        if a == b or windows[a] & windows[b]:
            continue
        for member in members[b]:
            group[member] = a
        members[a] += members.pop(b)
        windows[a] |= windows[b]
    return np.array(group, np.int64)
