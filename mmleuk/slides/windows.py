"""Windows over a large image, and which detections a window cuts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmleuk.errors import UserError

EDGE_SHARE = 0.01
"""A box that ends this close to a window's edge, as a share of the window's side, counts as cut by it."""


@dataclass(frozen=True)
class Plan:
    """The windows of one image, row by row.

    Args:
        size_hw: of the image, pixels.
        windows_xyxy: (W, 4) int64, pixels.
        edge_px: a box that ends within this distance of a window's edge counts as cut.
    """

    size_hw: tuple[int, int]
    windows_xyxy: NDArray[np.int64]
    edge_px: float

    def __len__(self) -> int:
        return len(self.windows_xyxy)

    def open_sides(self) -> NDArray[np.float64]:
        """(W, 4) edges within which a box isn't cut; infinite where the window ends with the image."""
        height, width = self.size_hw
        inner = self.windows_xyxy + np.array([1, 1, -1, -1]) * self.edge_px
        at_border = self.windows_xyxy == np.array([0, 0, width, height])
        return np.where(at_border, np.array([-1, -1, 1, 1]) * np.inf, inner)

    def is_cut(self, boxes_xyxy: NDArray, window_of: NDArray) -> NDArray[np.bool_]:
        """(N,) whether the window (N,) that saw a box (N, 4) cuts it.

        >>> plan = plan_windows((100, 180), 100, 20)
        >>> plan.is_cut(np.array([[70., 10., 100., 40.], [0., 10., 30., 40.]]), np.array([0, 0])).tolist()
        [True, False]
        """
        sides = self.open_sides()[window_of]
        return np.asarray((boxes_xyxy[:, :2] < sides[:, :2]).any(1) | (boxes_xyxy[:, 2:] > sides[:, 2:]).any(1))


def plan_windows(size_hw: tuple[int, int], window: int, overlap: int) -> Plan:
    """The fewest windows that cover an image and overlap by at least ``overlap``, evenly spread.

    Args:
        size_hw: of the image, pixels.
        window: width and height, pixels; an image that is smaller gives smaller windows.
        overlap: of neighbouring windows, pixels. A cell up to this size is whole in at least one window.

    Raises:
        UserError: a number is out of its range.

    Example:
        >>> plan_windows((100, 180), 100, 20).windows_xyxy.tolist()
        [[0, 0, 100, 100], [80, 0, 180, 100]]
    """
    if window < 32:
        raise UserError(f'the window is {window} px; at least 32 are needed')
    if not 0 <= overlap <= window // 2:
        raise UserError(f'windows of {window} px overlap by {overlap} px; allowed are 0 to {window // 2}')
    height, width = size_hw
    rows, columns = _starts(height, window, overlap), _starts(width, window, overlap)
    corners = np.array([(x, y) for y in rows for x in columns], np.int64)
    ends = np.minimum(corners + window, np.array([width, height]))
    return Plan(size_hw, np.hstack([corners, ends]), max(2.0, EDGE_SHARE * window))


def _starts(length: int, window: int, overlap: int) -> list[int]:
    if length <= window:
        return [0]
    count = 1 + -(-(length - window) // (window - overlap))
    return np.linspace(0, length - window, count).round().astype(int).tolist()
