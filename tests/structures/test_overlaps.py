"""One place holds one cell."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mmleuk.structures.overlaps import suppress_overlaps


def iou(a, b):
    left, top, right, bottom = max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])
    inter = max(right - left, 0) * max(bottom - top, 0)
    return inter / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter)


@given(st.integers(0, 2 ** 32 - 1), st.integers(0, 12), st.sampled_from([0.3, 0.5, 0.8]))
def test_kept_are_apart_and_dropped_overlap_a_higher_scoring_one(seed, number, limit):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 30, (number, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(5, 25, (number, 2))], 1)
    scores = rng.permutation(number) / 20
    kept = suppress_overlaps(boxes, scores, limit).tolist()
    assert sorted(kept, key=lambda i: -scores[i]) == kept
    for i in range(number):
        better = [j for j in kept if scores[j] > scores[i]]
        assert (i in kept) == all(iou(boxes[i], boxes[j]) <= limit + 1e-6 for j in better)


def test_one_keeps_everything_and_nothing_stays_nothing():
    boxes = np.array([[0., 0., 9., 9.], [0., 0., 9., 9.]])
    assert suppress_overlaps(boxes, np.array([0.1, 0.2]), 1.0).tolist() == [1, 0]
    assert suppress_overlaps(np.zeros((0, 4)), np.zeros(0), 0.5).tolist() == []


def test_boxes_without_an_area_stay_beside_each_other_and_equals_keep_their_order():
    point = np.zeros((2, 4))
    assert suppress_overlaps(point, np.array([0.5, 0.5]), 0.5).tolist() == [0, 1]
