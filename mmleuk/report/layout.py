"""Where labels and cards go in a picture: pure geometry on x1, y1, x2, y2 rectangles in pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
    best: tuple[float, Rect, float] | None = None
    for spot in spots:
        rect = inside(spot, size_wh)
        area = max(1.0, (rect[2] - rect[0]) * (rect[3] - rect[1]))
        hidden = sum(overlap(rect, other) for other in solid) / area
        hidden += 10 * sum(overlap(rect, other) for other in taken) / area
        cost = hidden + 0.1 * sum(overlap(rect, other) for other in soft) / area
        if best is None or cost < best[0] - 1e-9:
            best = (cost, rect, hidden)
    if best is None:
        raise ValueError('best_spot needs at least one candidate')
    return best[1], best[2]
