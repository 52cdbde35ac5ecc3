"""Windows and their merge: with a perfect detector every cell is found exactly once."""

import numpy as np
import pytest
from growth import assert_linear
from hypothesis import given, settings
from hypothesis import strategies as st

from mmleuk.errors import UserError
from mmleuk.slides.merge import merge
from mmleuk.slides.windows import plan_windows


def seen(truth, plan, jitter=None):
    """What a perfect detector sees in each window: the true boxes, clipped; ``window_of``; the index of the truth."""
    boxes, window_of, cell_of = [], [], []
    for number, window in enumerate(plan.windows_xyxy):
        clipped = np.hstack([np.maximum(truth[:, :2], window[:2]), np.minimum(truth[:, 2:], window[2:])])
        shown = np.flatnonzero((clipped[:, 2:] - clipped[:, :2] >= 1).all(1))
        found = clipped[shown].astype(float)
        if jitter is not None:
            found = np.clip(found + jitter.normal(0, 0.5, found.shape), np.tile(window[:2], 2), np.tile(window[2:], 2))
        boxes.append(found)
        window_of.append(np.full(len(shown), number))
        cell_of.append(shown)
    return np.concatenate(boxes), np.concatenate(window_of), np.concatenate(cell_of)


def apart(boxes, max_iou=0.5):
    """Boxes of which none overlaps an earlier one by more than ``max_iou``."""
    kept = []
    for box in boxes:
        for other in kept:
            sides = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
            both = np.clip(sides, 0, None).prod()
            if both > max_iou * ((box[2:] - box[:2]).prod() + (other[2:] - other[:2]).prod() - both):
                break
        else:
            kept.append(box)
    return np.array(kept).reshape(-1, 4)


@given(st.integers(0, 2 ** 32 - 1), st.integers(100, 700), st.integers(100, 700), st.integers(0, 80))
@settings(max_examples=80, deadline=None)
def test_a_perfect_detector_finds_each_cell_once(seed, height, width, count):
    rng = np.random.default_rng(seed)
    plan = plan_windows((height, width), 128, 40)
    corners = rng.uniform(0, [width - 36, height - 36], (count, 2))
    truth = apart(np.hstack([corners, corners + rng.uniform(4, 36, (count, 2))]))
    boxes, window_of, cell_of = seen(truth, plan)
    kept = merge(boxes, rng.uniform(size=len(boxes)), window_of, plan)
    assert sorted(cell_of[kept].tolist()) == list(range(len(truth)))
    np.testing.assert_array_equal(boxes[kept], truth[cell_of[kept]])  # and whole, not cut


@given(st.integers(50, 5000), st.integers(32, 900), st.data())
def test_windows_cover_the_image_and_overlap(length, window, data):
    overlap = data.draw(st.integers(0, window // 2))
    plan = plan_windows((64, length), window, overlap)
    starts = sorted({(x1, x2) for x1, _, x2, _ in plan.windows_xyxy.tolist()})
    assert starts[0][0] == 0 and starts[-1][1] == length
    assert all(end - start == min(window, length) for start, end in starts)
    assert all(one[1] - other[0] >= overlap for one, other in zip(starts, starts[1:]))


def test_touching_cells_stay_two_and_a_cut_box_yields():
    plan = plan_windows((100, 180), 100, 20)  # windows end at x = 100 and begin at x = 80
    whole_left, touching = [70., 10., 88., 28.], [88., 10., 106., 28.]
    boxes = np.array([whole_left, [88., 10., 100., 28.], [80., 10., 88., 28.], touching])
    window_of = np.array([0, 0, 1, 1])
    for scores in ([.9, .9, .9, .9], [.3, .99, .99, .3]):  # a cut box yields, whatever its score
        assert merge(boxes, np.array(scores), window_of, plan).tolist() == [0, 3]


def test_a_cell_larger_than_the_overlap_counts_once():
    plan = plan_windows((100, 180), 100, 20)
    boxes = np.array([[60., 10., 100., 60.], [80., 10., 130., 60.]])  # 60 to 130, cut by both windows
    assert len(merge(boxes, np.array([.8, .9]), np.array([0, 1]), plan)) == 1


def test_the_higher_score_of_two_whole_boxes_stays():
    plan = plan_windows((100, 180), 100, 30)
    boxes = np.array([[84., 10., 95., 22.], [85., 10., 95., 22.]])
    assert merge(boxes, np.array([.5, .6]), np.array([0, 1]), plan).tolist() == [1]
    assert merge(boxes, np.array([.6, .5]), np.array([0, 1]), plan).tolist() == [0]


def test_what_one_window_saw_as_two_stays_two():
    plan = plan_windows((100, 180), 100, 20)
    boxes = np.array([[10., 10., 30., 30.], [12., 10., 32., 30.]])  # IoU 0.82, both of window 0
    assert merge(boxes, np.array([.5, .6]), np.array([0, 0]), plan).tolist() == [0, 1]


def test_no_detections():
    plan = plan_windows((100, 180), 100, 20)
    assert merge(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int), plan).tolist() == []


def crowd(side, rng):
    """Touching cells in an image of ``side`` pixels, each moved a little in each window -> boxes, windows, cells."""
    plan = plan_windows((side, side), 640, 160)
    grid = np.stack(np.meshgrid(np.arange(0, side - 50, 55.), np.arange(0, side - 50, 55.)), 2).reshape(-1, 2)
    truth = np.clip(np.hstack([grid, grid + 58]) + rng.uniform(-2, 2, (len(grid), 4)), 0, side)
    return plan, len(truth), *seen(truth, plan, jitter=rng)


def test_of_33000_crowded_boxes_each_cell_stays_once():
    rng = np.random.default_rng(0)
    plan, count, boxes, window_of, cell_of = crowd(7000, rng)
    assert len(boxes) > 33_000
    kept = merge(boxes, rng.uniform(size=len(boxes)), window_of, plan)
    assert (np.bincount(cell_of[kept], minlength=count) == 1).all()


def test_work_grows_with_the_boxes_and_not_with_their_pairs():
    def work(count):
        rng = np.random.default_rng(0)
        plan, _, boxes, window_of, _ = crowd(round(3200 * (count / 4000) ** .5), rng)
        return lambda: merge(boxes, rng.uniform(size=len(boxes)), window_of, plan)

    assert_linear(work, 4000)


@pytest.mark.parametrize(('window', 'overlap', 'words'), [(20, 0, 'at least 32'), (100, 60, 'allowed are 0 to 50')])
def test_windows_out_of_range(window, overlap, words):
    with pytest.raises(UserError, match=words):
        plan_windows((100, 100), window, overlap)
