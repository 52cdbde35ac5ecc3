"""Predictions of one view of an image in another view's pixels."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.structures import InstanceData

from mmleuk.errors import UserError
from mmleuk.models.task_modules.view_geometry import to_view
from mmleuk.structures import CellBoxes

SIZE = 64
PLAIN = np.eye(3)
SHIFT = np.array([[1., 0., -20.], [0., 1., 0.], [0., 0., 1.]])
SHEAR = np.array([[1., 0.5, 0.], [0., 1., 0.], [0., 0., 1.]])


def found(*boxes):
    return InstanceData(bboxes=torch.tensor(boxes).view(-1, 4), scores=torch.rand(len(boxes)))


def seen_as(matrix, size=SIZE):
    return dict(homography_matrix=matrix, img_shape=(size, size))


def turn(degrees, scale=1.0):
    cos, sin = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    return np.array([[cos, -sin, 900.], [sin, cos, 900.], [0., 0., 1.]])


def test_boxes_move_by_hand():
    """From a shifted view to a sheared one: back by 20 px, then x grows by half of y; a hull is wider than its box."""
    one = found([0., 0., 10., 20.])
    moved = to_view(one, seen_as(SHIFT), seen_as(SHEAR))
    assert moved.bboxes.tolist() == [[20., 0., 40., 20.]] and moved.scores.tolist() == one.scores.tolist()
    assert one.bboxes.tolist() == [[0., 0., 10., 20.]]
    assert to_view(one, seen_as(SHEAR), seen_as(SHEAR)) is one
    assert to_view(one, dict(img_shape=(SIZE, SIZE)), dict(img_shape=(SIZE, SIZE))) is one


def test_a_sheared_views_box_is_a_hull_and_becomes_the_box_that_it_is_the_hull_of():
    """Not the hull of the hull, (10, 0, 40, 20) moved back by half of y: 30 px wide instead of 10."""
    moved = to_view(found([20., 0., 40., 20.]), seen_as(SHEAR), seen_as(PLAIN))
    assert moved.bboxes.tolist() == [[20., 0., 30., 20.]]


def test_a_box_too_narrow_for_a_hull_is_no_label():
    """A cell 20 px high is at least 10 px wide in this view."""
    moved = to_view(found([20., 0., 29., 20.], [20., 0., 33., 20.]), seen_as(SHEAR), seen_as(PLAIN))
    assert moved.bboxes.tolist() == [[20., 0., 23., 20.]]


@given(st.floats(-25, 25), st.floats(0.5, 2), st.floats(-25, 25), st.floats(0.5, 2))
def test_a_cell_has_the_box_that_the_transforms_give_it_and_comes_back(degrees, scale, further, larger):
    """Oracle: the box class that moves labelled cells through the same matrices."""
    cell = torch.tensor([[300., 340., 342., 395.]])
    views = [seen_as(turn(*way), 4000) for way in ((degrees, scale), (further, larger))]
    labelled = [CellBoxes(cell.clone()) for _ in views]
    for boxes, view in zip(labelled, views):
        boxes.project_(view['homography_matrix'])
    start = InstanceData(bboxes=labelled[0].tensor, scores=torch.ones(1))
    there = to_view(start, *views)
    assert torch.allclose(there.bboxes, labelled[1].tensor, atol=0.05)
    assert torch.allclose(to_view(there, *views[::-1]).bboxes, start.bboxes, atol=0.05)


def test_mixed_precision_moves_boxes_as_exactly():
    box = found([301.3, 217.9, 333.1, 251.7])
    with torch.autocast('cpu', torch.bfloat16):
        moved = to_view(box, seen_as(SHIFT, 640), seen_as(SHEAR, 640))
    assert torch.equal(moved.bboxes, to_view(box, seen_as(SHIFT, 640), seen_as(SHEAR, 640)).bboxes)


def test_what_another_view_hardly_shows_is_no_label():
    """20 px to the left: the first box leaves the image, of the second 5% are left, of the third a half."""
    three = found([0., 0., 19., 20.], [0., 0., 21., 20.], [10., 0., 30., 20.])
    assert to_view(three, seen_as(PLAIN), seen_as(SHIFT)).bboxes.tolist() == [[0., 0., 10., 20.]]
    assert len(to_view(found(), seen_as(PLAIN), seen_as(SHIFT))) == 0


def test_views_of_unknown_geometry_are_refused():
    with pytest.raises(UserError, match='meta_keys'):
        to_view(found(), seen_as(SHIFT), dict(img_shape=(SIZE, SIZE)))


def test_a_turn_of_45_degrees_is_refused_with_the_image():
    with pytest.raises(UserError, match=r'film.png: .* at most 35 degrees'):
        to_view(found([1., 2., 30., 40.]), seen_as(turn(44)) | dict(img_path='film.png'), seen_as(PLAIN))
    assert len(to_view(found([930., 910., 960., 950.]), seen_as(turn(35), 2000), seen_as(PLAIN)))
    to_view(found(), seen_as(PLAIN), seen_as(turn(45)))  # into such a view boxes move
