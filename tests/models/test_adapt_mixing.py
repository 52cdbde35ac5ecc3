"""Quarters of images, and what becomes of labels at their borders."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.structures import InstanceData

from mmleuk.models.adapt.mixing import (
    best_quarter,
    cut_away,
    mix_labels,
    paste_quarter,
    quarter_window,
    quarters_of,
    regions_without,
)
from mmleuk.structures.regions import points_in_regions

sizes = st.tuples(st.integers(2, 40), st.integers(2, 40))


def cells(boxes, scores=None):
    boxes = torch.tensor(boxes, dtype=torch.float32).view(-1, 4)
    return InstanceData(bboxes=boxes, labels=torch.arange(len(boxes)),
                        scores=torch.tensor(scores or [0.9] * len(boxes)))


@given(sizes)
def test_quarters_tile_the_image(image_hw):
    count = torch.zeros(image_hw)
    for quarter in range(4):
        x1, y1, x2, y2 = quarter_window(quarter, image_hw)
        count[y1:y2, x1:x2] += 1
        centre = torch.tensor([[x1, y1, x2, y2]]).float()
        assert quarters_of(centre, image_hw).item() == quarter
    assert (count == 1).all()


def test_the_surest_quarter_wins_by_its_mean():
    """One cell of 0.8 beats two of 0.9 and 0.5; quarters without a cell don't count."""
    found = cells([[0, 0, 4, 4], [12, 0, 16, 4], [10, 0, 14, 4]], [0.8, 0.9, 0.5])
    assert best_quarter(found.bboxes, found.scores, (16, 16)) == 0
    assert best_quarter(found.bboxes[1:], found.scores[1:], (16, 16)) == 1
    assert best_quarter(found.bboxes[:0], found.scores[:0], (16, 16)) is None


def test_pasting_leaves_the_source_unchanged():
    source, target = torch.zeros(3, 6, 8), torch.ones(3, 6, 8)
    mixed = paste_quarter(source, target, 3)
    assert source.sum() == 0 and mixed.sum() == 3 * 3 * 4
    assert mixed[:, 3:, 4:].eq(1).all()


def test_labels_go_where_their_centre_lies_and_end_at_the_border():
    """By hand, 20 x 20, upper right quarter from the target: x from 10, y to 10."""
    source = cells([[2, 2, 8, 8], [6, 2, 12, 8], [11, 1, 15, 5], [6, 12, 16, 18]], [0.9, 0.8, 0.7, 0.6])
    target = cells([[8, 2, 16, 12], [0, 0, 4, 4]], [0.5, 0.4])
    mixed = mix_labels(source, target, 1, (20, 20))
    assert mixed.bboxes.tolist() == [[2, 2, 8, 8], [6, 2, 10, 8], [6, 12, 16, 18], [10, 2, 16, 10]]
    assert mixed.labels.tolist() == [0, 1, 3, 0]
    assert mixed.scores.tolist() == pytest.approx([0.9, 0.8, 0.6, 0.5])
    assert source.bboxes[1].tolist() == [6, 2, 12, 8], 'the arguments stay'


def test_mixing_nothing():
    nothing = cells([])
    assert len(mix_labels(nothing, nothing, 2, (8, 8))) == 0


@given(st.lists(st.tuples(*[st.integers(0, 20)] * 4), max_size=6), st.integers(0, 3))
@settings(max_examples=60)
def test_nothing_is_left_in_the_window(corners, quarter):
    boxes = torch.tensor([[min(a, c), min(b, d), max(a, c) + 1, max(b, d) + 1] for a, b, c, d in corners]).float()
    window = torch.tensor(quarter_window(quarter, (20, 20))).float()
    rest = cut_away(boxes.view(-1, 4), window.tolist())
    low, high = torch.maximum(rest[:, :2], window[:2]), torch.minimum(rest[:, 2:], window[2:])
    assert not (high - low > 0).all(1).any()
    assert (rest[:, :2] >= boxes.view(-1, 4)[:, :2]).all() and (rest[:, 2:] <= boxes.view(-1, 4)[:, 2:]).all()


@given(st.lists(st.tuples(*[st.integers(0, 12)] * 4), max_size=3), st.integers(0, 3))
@settings(max_examples=60)
def test_regions_without_a_window(corners, quarter):
    """A point between pixels' corners is known if a region has it and the window doesn't."""
    regions = torch.tensor([[min(a, c), min(b, d), max(a, c), max(b, d)] for a, b, c, d in corners]).float().view(-1, 4)
    window = quarter_window(quarter, (12, 12))
    left = regions_without(regions, window)
    y, x = torch.meshgrid(torch.arange(12) + 0.5, torch.arange(12) + 0.5, indexing='ij')
    points = torch.stack([x, y], -1)
    inside = points_in_regions(points, torch.tensor([window]).float())
    assert torch.equal(points_in_regions(points, left), points_in_regions(points, regions) & ~inside)
