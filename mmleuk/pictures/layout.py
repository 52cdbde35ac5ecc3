"""Where labels and cards go in a picture: pure geometry on x1, y1, x2, y2 rectangles in pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

Rect = tuple[float, float, float, float]


def overlap(a: Rect, b: Rect) -> float:
    """Area that two rectangles share.

    >>> overlap((0, 0, 4, 4), (2, 2, 6, 6))
    4
    """
    return max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))


def inside(rect: Rect, size_wh: tuple[float, float]) -> Rect:
    """``rect`` moved, not cut, so that it lies in an image of this size where it can."""
    width, height = rect[2] - rect[0], rect[3] - rect[1]
    x = max(0, min(rect[0], size_wh[0] - width))
    y = max(0, min(rect[1], size_wh[1] - height))
    return x, y, x + width, y + height


def tag_spots(box: Rect, tag_wh: tuple[float, float]) -> list[Rect]:
    """Places for a label on a box: above, below, then along its inner edges."""
    width, height = tag_wh
    x1, y1, x2, y2 = box
    corners = [(x1, y1 - height), (x2 - width, y1 - height), (x1, y2), (x2 - width, y2), (x1, y1), (x1, y2 - height)]
    return [(x, y, x + width, y + height) for x, y in corners]


def card_spots(box: Rect, card_wh: tuple[float, float], gap: float) -> list[Rect]:
    """Places for a card beside a box: right and left at three heights, then above and below at three places."""
    width, height = card_wh
    x1, y1, x2, y2 = box
    ys = [y1, (y1 + y2 - height) / 2, y2 - height]
    xs = [x1, (x1 + x2 - width) / 2, x2 - width]
    corners = [(x2 + gap, y) for y in ys] + [(x1 - gap - width, y) for y in ys]
    corners += [(x, y2 + gap) for x in xs] + [(x, y1 - gap - height) for x in xs]
    return [(x, y, x + width, y + height) for x, y in corners]


def best_spot(spots: Iterable[Rect], size_wh: tuple[float, float], taken: Sequence[Rect], solid: Sequence[Rect],
              soft: Sequence[Rect]) -> tuple[Rect, float]:
    """The spot that hides least, and how much: the share of it that lies on something solid, ten times that on text.

    Args:
        spots: candidates, the dearest first; each is moved into the image before it is judged.
        size_wh: the image's width and height.
        taken: labels and cards already placed: text must not be covered.
        solid: leukocytes, which should stay visible.
        soft: what may be hidden if it must, such as red cells.
    """
    moved = [inside(spot, size_wh) for spot in spots]
    if not moved:
        raise ValueError('best_spot needs at least one candidate')
    hidden = _covered(moved, solid) + 10 * _covered(moved, taken)
    # Rounded, so that an earlier spot wins a tie whatever the last digit says.
    best = int(np.argmin(np.round(hidden + 0.1 * _covered(moved, soft), 6)))
    return moved[best], float(hidden[best])


def _covered(spots: Sequence[Rect], others: Sequence[Rect]) -> np.ndarray:
    """Share of each spot's area (S,) that lies on the others, summed over them."""
    if not others:
        return np.zeros(len(spots))
    a, b = np.array(spots)[:, None], np.array(others)[None]  # (S, 1, 4), (1, R, 4)
    shared = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None)  # (S, R, 2)
    area = np.maximum(1.0, (a[..., 2] - a[..., 0]) * (a[..., 3] - a[..., 1]))[:, 0]
    return shared.prod(-1).sum(-1) / area
