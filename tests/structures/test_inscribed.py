"""Regions under a homography: inside always, exact where axes stay parallel, as large as a brute-force search finds."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmleuk.structures import inscribed_rectangles, project_regions

REGION = torch.tensor([[10., 20., 50., 40.]])


def homography(turn=0.0, scale=1.0, shear=0.0, shift=(0.0, 0.0), perspective=(0.0, 0.0)):
    c, s = math.cos(turn), math.sin(turn)
    linear = np.array([[c, -s], [s, c]]) @ np.array([[1, math.tan(shear)], [0, 1]]) * scale
    return np.block([[linear, np.array(shift)[:, None]], [np.array(perspective)[None], np.ones((1, 1))]])


def back_projected(rectangle, matrix, steps=7):
    """Points of the rectangle's border in the old image."""
    x1, y1, x2, y2 = rectangle.double().tolist()
    t = np.linspace(0, 1, steps)
    edges = [np.stack([x1 + (x2 - x1) * t, np.full(steps, y)], 1) for y in (y1, y2)]
    edges += [np.stack([np.full(steps, x), y1 + (y2 - y1) * t], 1) for x in (x1, x2)]
    points = np.concatenate(edges)
    old = np.concatenate([points, np.ones((len(points), 1))], 1) @ np.linalg.inv(matrix).T
    return old[:, :2] / old[:, 2:]


@given(turn=st.floats(-math.pi, math.pi), scale=st.floats(0.3, 3), shear=st.floats(-0.5, 0.5),
       perspective=st.tuples(st.floats(-0.003, 0.003), st.floats(-0.003, 0.003)))
def test_result_lies_inside_whatever_the_homography(turn, scale, shear, perspective):
    matrix = homography(turn, scale, shear, (5, -3), perspective)
    moved = project_regions(REGION.double(), matrix)
    assert len(moved) == 1
    old = back_projected(moved[0], matrix)
    assert (old >= np.array([10, 20]) - 1e-6).all() and (old <= np.array([50, 40]) + 1e-6).all()


def test_square_turned_by_45_degrees_keeps_half_its_area():
    moved = project_regions(torch.tensor([[-1., -1., 1., 1.]]), homography(math.pi / 4))
    assert moved[0].tolist() == pytest.approx([-math.sqrt(0.5), -math.sqrt(0.5), math.sqrt(0.5), math.sqrt(0.5)])


def test_sheared_square_by_hand():
    # corners (0,0) (2,0) (3,2) (1,2): width w leaves height 2 - 2(w - 1) for w >= 1, area 4w - 2w^2, best at w = 1
    quad = torch.tensor([[[0., 0.], [2., 0.], [3., 2.], [1., 2.]]]).double()
    assert inscribed_rectangles(quad).tolist() == [[1., 0., 2., 2.]]


@pytest.mark.parametrize('matrix, expected', [
    (homography(scale=2, shift=(1, 2)), [21, 42, 101, 82]),
    (np.diag([-1., 1., 1.]) + [[0, 0, 60], [0, 0, 0], [0, 0, 0]], [10, 20, 50, 40]),
    (np.array([[0., -1, 100], [1, 0, 0], [0, 0, 1]]), [60, 10, 80, 50]),
])
def test_scaling_mirroring_and_quarter_turns_are_exact(matrix, expected):
    assert project_regions(REGION, matrix).tolist() == [expected]


def best_by_search(quad, steps=48):
    """Largest inscribed area on a grid of left and right edges; a convex figure's height there follows directly."""
    corners = np.concatenate([quad, quad[:1]])
    xs = np.linspace(quad[:, 0].min(), quad[:, 0].max(), steps)
    low, high = np.full(steps, np.inf), np.full(steps, -np.inf)
    for (xa, ya), (xb, yb) in zip(corners[:-1], corners[1:], strict=True):
        t = (xs - xa) / (xb - xa) if abs(xb - xa) > 1e-6 else np.full(steps, np.nan)
        on_side = (t >= 0) & (t <= 1)
        y = ya + t * (yb - ya)
        low = np.where(on_side, np.minimum(low, y), low)
        high = np.where(on_side, np.maximum(high, y), high)
    height = np.minimum(high[:, None], high[None]) - np.maximum(low[:, None], low[None])
    return np.where(height > 0, height * (xs[None] - xs[:, None]), 0).max()


@given(turn=st.floats(-1.5, 1.5), shear=st.floats(-0.4, 0.4), ratio=st.floats(0.2, 5))
def test_affine_result_is_as_large_as_a_search_finds(turn, shear, ratio):
    corners = np.array([[0, 0], [10 * ratio, 0], [10 * ratio, 10], [0, 10]]) @ homography(turn, shear=shear)[:2, :2].T
    x1, y1, x2, y2 = inscribed_rectangles(torch.tensor(corners)[None])[0].tolist()
    assert (x2 - x1) * (y2 - y1) >= 0.999 * best_by_search(corners)


@given(perspective=st.tuples(st.floats(-0.002, 0.002), st.floats(-0.002, 0.002)), turn=st.floats(-0.3, 0.3))
def test_perspective_result_is_nearly_as_large_as_a_search_finds(perspective, turn):
    matrix = homography(turn, perspective=perspective)
    corners = np.array([[0, 0, 1], [100, 0, 1], [100, 100, 1], [0, 100, 1]]) @ matrix.T
    quad = corners[:, :2] / corners[:, 2:]
    x1, y1, x2, y2 = inscribed_rectangles(torch.tensor(quad)[None])[0].tolist()
    assert (x2 - x1) * (y2 - y1) > 0.9 * best_by_search(quad)


def test_degenerate_and_hidden_regions_are_dropped():
    flat = np.array([[1., 0, 0], [2, 0, 0], [0, 0, 1]])
    assert project_regions(REGION, flat).shape == (0, 4)
    behind = np.array([[1., 0, 0], [0, 1, 0], [-0.05, 0, 1]])       # depth 1 - 0.05 x < 0 for x > 20
    assert project_regions(REGION, behind).shape == (0, 4)
    assert project_regions(torch.zeros(1, 4), homography(0.3)).shape == (0, 4)


@pytest.mark.parametrize('turn', [0.0, 0.3])
def test_no_regions_stay_no_regions(turn):
    assert project_regions(torch.zeros(0, 4), homography(turn)).shape == (0, 4)


def test_order_of_corners_does_not_matter():
    quad = torch.tensor([[[1., 0.], [2., 1.], [1., 2.], [0., 1.]]])
    assert torch.equal(inscribed_rectangles(quad), inscribed_rectangles(quad.flip(1)))
