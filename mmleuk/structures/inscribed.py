"""Regions under a homography: a rectangle inside the transformed region.

A turned or sheared region is not an axis-parallel rectangle. Its hull would include unknown pixels (after a turn of 10
degrees the hull of a square is 1.34 times as large), so an inscribed rectangle replaces it.

Legend: R regions, K centres tried, C = 10 candidates per centre.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mmleuk.structures.regions import drop_empty_regions

PAIRS = tuple(zip(*((i, j) for i in range(4) for j in range(i + 1, 4)), strict=True))
"""The six pairs of a quadrilateral's four sides, as two index tuples."""

SHARES = torch.linspace(0.25, 0.75, 11, dtype=torch.float64)
ALONG, ACROSS = torch.meshgrid(SHARES, SHARES, indexing='ij')
CENTRES = torch.stack([(1 - ALONG) * (1 - ACROSS), ALONG * (1 - ACROSS), ALONG * ACROSS, (1 - ALONG) * ACROSS],
                      -1).flatten(0, 1)
"""Weights (K, 4) of the corners for each centre that is tried; the middle is one of them."""


def project_regions(regions_xyxy: Tensor, homography: Tensor | np.ndarray) -> Tensor:
    """Move regions by a homography; exact where axes stay parallel, inscribed rectangles otherwise.

    Args:
        regions_xyxy: (R, 4) pixels.
        homography: (3, 3), maps (x, y, 1) of the old image to the new one.

    Returns:
        (R', 4), dtype and device of ``regions_xyxy``. Degenerate regions are dropped. So are regions that
        reach behind the camera of a perspective: their image isn't a quadrilateral.

    Example:
        >>> grow = [[2., 0., 1.], [0., 3., 0.], [0., 0., 1.]]
        >>> project_regions(torch.tensor([[0., 0., 10., 10.]]), torch.tensor(grow)).tolist()
        [[1.0, 0.0, 21.0, 30.0]]
    """
    matrix = torch.as_tensor(homography, dtype=torch.float64, device=regions_xyxy.device)
    regions = regions_xyxy.double()
    x1, y1, x2, y2 = regions.unbind(1)
    corners = torch.stack([x1, y1, x2, y1, x2, y2, x1, y2], 1).reshape(-1, 4, 2)
    homogeneous = corners @ matrix[:, :2].T + matrix[:, 2]
    depth = homogeneous[..., 2:]
    in_front = (depth > 0).all(1).squeeze(1)
    quads = (homogeneous[..., :2] / depth)[in_front]
    if _keeps_axes_parallel(matrix):
        moved = drop_empty_regions(torch.cat([quads.amin(1), quads.amax(1)], 1))
    else:
        moved = inscribed_rectangles(quads)
    return moved.to(regions_xyxy.dtype)


def scale_and_shift(homography: Tensor | np.ndarray) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """(x, y) scale and (x, y) shift of a (3, 3) homography that does nothing else and mirrors nothing; else None.

    >>> scale_and_shift(np.diag([2., 3., 1.])), scale_and_shift(np.diag([-1., 1., 1.]))
    (((2.0, 3.0), (0.0, 0.0)), None)
    """
    (a, b, x), (c, d, y), last = homography.tolist()
    return ((a, d), (x, y)) if b == c == 0 and a > 0 and d > 0 and last == [0, 0, 1] else None


def inscribed_rectangles(quads_xy: Tensor) -> Tensor:
    """A large axis-parallel rectangle inside each convex quadrilateral.

    A rectangle with centre c and half sides (a, b) lies inside a side's half-plane, whose inner normal is n and whose
    distance from c is d, exactly where |n_x| a + |n_y| b <= d. Maximising a * b under four such lines has its optimum
    where one line is touched at its middle or where two lines meet: ten candidates, each shrunk until all lines hold.

    For a parallelogram (every affine transform of a region) its middle is the best centre: mirroring a rectangle
    there and averaging the two gives one that is centred, inside, and as large. For a perspective the best centre is
    searched on a grid around the middle. Up to a tenth of the area may be lost; the rectangle is always inside.

    Args:
        quads_xy: (R, 4, 2) corners in order around, either way, of convex quadrilaterals.

    Returns:
        (R', 4) xyxy; degenerate quadrilaterals are dropped.

    Example:
        >>> diamond = torch.tensor([[[1., 0.], [2., 1.], [1., 2.], [0., 1.]]])
        >>> inscribed_rectangles(diamond).tolist()
        [[0.5, 0.5, 1.5, 1.5]]
    """
    sides = quads_xy.roll(-1, 1) - quads_xy
    normals = torch.stack([-sides[..., 1], sides[..., 0]], -1)
    centres = torch.einsum('kc,rcd->rkd', CENTRES.to(quads_xy), quads_xy)
    distances = ((centres.unsqueeze(2) - quads_xy.unsqueeze(1)) * normals.unsqueeze(1)).sum(-1)     # (R, K, 4)
    signs = distances.sign().flatten(1)
    usable = signs.sum(1).abs() == signs.shape[1]       # all on one side: convex, not flat
    lines = (normals.abs().unsqueeze(1) / distances.abs().unsqueeze(-1))[usable]    # (R, K, 4, 2)
    half = _largest_half_sides(lines.flatten(0, 1)).reshape(*lines.shape[:2], 2)
    best = half.prod(-1).argmax(1)
    rows = torch.arange(len(half), device=half.device)
    half, centre = half[rows, best], centres[usable][rows, best]
    return drop_empty_regions(torch.cat([centre - half, centre + half], 1))


def _largest_half_sides(lines: Tensor) -> Tensor:
    """(R, 4, 2) non-negative lines -> (R, 2) half sides (a, b) of the largest a * b with lines . (a, b) <= 1."""
    touching = 0.5 / lines
    first, second = lines[:, PAIRS[0]], lines[:, PAIRS[1]]
    determinant = first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]
    crossing = torch.stack([second[..., 1] - first[..., 1], first[..., 0] - second[..., 0]], -1)
    candidates = torch.cat([touching, crossing / determinant.unsqueeze(-1)], 1)     # (R, C, 2)
    sound = (candidates.isfinite() & (candidates > 0)).all(-1, keepdim=True)
    candidates = candidates.where(sound, torch.zeros_like(candidates))
    tightness = (candidates @ lines.transpose(1, 2)).amax(-1, keepdim=True)         # (R, C, 1)
    candidates = candidates / tightness.where(sound, torch.ones_like(tightness))
    best = candidates.prod(-1).argmax(1)
    return candidates[torch.arange(len(lines), device=lines.device), best]


def _keeps_axes_parallel(matrix: Tensor) -> bool:
    """True for scaling, translation, mirroring and quarter turns."""
    a, b, _, c, d, _, g, h, _ = matrix.flatten().tolist()
    return g == h == 0 and (b == c == 0 or a == d == 0)
