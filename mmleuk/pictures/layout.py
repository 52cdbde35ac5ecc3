"""Where labels and cards go in a picture: pure geometry on x1, y1, x2, y2 rectangles in pixels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

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
    """Spots for a label on a box: above, below, then along its inner edges."""
    width, height = tag_wh
    x1, y1, x2, y2 = box
    corners = [(x1, y1 - height), (x2 - width, y1 - height), (x1, y2), (x2 - width, y2), (x1, y1), (x1, y2 - height)]
    return [(x, y, x + width, y + height) for x, y in corners]


def card_spots(box: Rect, card_wh: tuple[float, float], gap: float) -> list[Rect]:
    """Spots for a card beside a box: right and left at three heights, then above and below at three more."""
    width, height = card_wh
    x1, y1, x2, y2 = box
    ys = [y1, (y1 + y2 - height) / 2, y2 - height]
    xs = [x1, (x1 + x2 - width) / 2, x2 - width]
    corners = [(x2 + gap, y) for y in ys] + [(x1 - gap - width, y) for y in ys]
    corners += [(x, y2 + gap) for x in xs] + [(x, y1 - gap - height) for x in xs]
    return [(x, y, x + width, y + height) for x, y in corners]


def on_canvas(box: Rect, factor: int, size_wh: tuple[int, int]) -> Rect:
    """A box in the enlarged image of this size, without what a detector predicts beyond the edge."""
    right, bottom = size_wh[0] - 1, size_wh[1] - 1
    x1, y1, x2, y2 = (value * factor for value in box)
    x1, y1 = min(max(x1, 0), right), min(max(y1, 0), bottom)
    return x1, y1, min(max(x2, x1), right), min(max(y2, y1), bottom)


class Rects:
    """Rectangles on a grid of tiles: only those near another one are compared with it.

    Args:
        size_wh: width and height of the image that they lie in.
        rects: the first ones; :meth:`add` takes more.
    """

    def __init__(self, size_wh: tuple[float, float], rects: Iterable[Rect] = ()) -> None:
        self._tile = max(32.0, max(size_wh) / 32)  # at most about a thousand tiles
        self._rects: list[Rect] = []
        self._tiles: dict[tuple[int, int], list[int]] = {}
        for rect in rects:
            self.add(rect)

    def add(self, rect: Rect) -> None:
        """Add one."""
        for tile in self._tiles_under(rect):
            self._tiles.setdefault(tile, []).append(len(self._rects))
        self._rects.append(rect)

    def near(self, rect: Rect) -> list[Rect]:
        """All that share a tile with ``rect``, so all that overlap it, in the order in which they were added."""
        found = {index for tile in self._tiles_under(rect) for index in self._tiles.get(tile, ())}
        return [self._rects[index] for index in sorted(found)]

    def _tiles_under(self, rect: Rect) -> Iterator[tuple[int, int]]:
        left, top, right, bottom = (int(value // self._tile) for value in rect)
        return ((x, y) for x in range(left, right + 1) for y in range(top, bottom + 1))


def best_spot(spots: Sequence[Rect], size_wh: tuple[float, float], taken: Rects, solid: Rects | None = None,
              soft: Rects | None = None, own: Rect | None = None) -> tuple[Rect, float]:
    """The spot that hides least, and how much: the share of it that lies on something solid, ten times that on text.

    Args:
        spots: candidates, the preferred first; each is moved into the image before it is judged.
        size_wh: the image's width and height.
        taken: labels and cards that have their spot: text must not be covered.
        solid: leukocytes, which should stay visible.
        soft: what may be hidden if it must, such as red cells.
        own: the solid box that a label belongs to, which it may lie on.
    """
    moved = np.array([inside(spot, size_wh) for spot in spots])  # (S, 4)
    hull = (*moved[:, :2].min(0).tolist(), *moved[:, 2:].max(0).tolist())
    hidden = 10 * _covered(moved, taken.near(hull))
    if solid is not None:
        hidden += _covered(moved, [rect for rect in solid.near(hull) if rect != own])
    faint = 0.0 if soft is None else 0.1 * _covered(moved, soft.near(hull))
    # Rounded, so that an earlier spot wins a tie whatever the last digit says.
    best = int(np.argmin(np.round(hidden + faint, 6)))
    return tuple(moved[best].tolist()), float(hidden[best])


def _covered(spots: np.ndarray, others: Sequence[Rect]) -> np.ndarray:
    """Share of each spot's area (S,) that lies on the others, summed over them."""
    if not others:
        return np.zeros(len(spots))
    a, b = spots[:, None], np.array(others)[None]  # (S, 1, 4), (1, R, 4)
    shared = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None)  # (S, R, 2)
    area = np.maximum(1.0, (a[..., 2] - a[..., 0]) * (a[..., 3] - a[..., 1]))[:, 0]
    return shared.prod(-1).sum(-1) / area
