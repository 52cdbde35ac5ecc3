"""Pseudo-labels matched with hidden cells, and their scores: by hand and by brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmleuk.errors import UserError
from mmleuk.evaluation.pseudo_label_quality import (
    HiddenCells,
    Tally,
    count_hidden,
    hide,
    judge,
    match_place_and_class,
    scores,
    summarise,
)
from mmleuk.structures.matching import DISREGARDED, UNMATCHED

A, B, FAR = [0., 0., 10., 10.], [100., 0., 110., 10.], [300., 300., 310., 310.]


def hidden(*cells):
    """Rows of box, label and, where it matters, whether to ignore."""
    return HiddenCells(np.array([c[0] for c in cells], float).reshape(-1, 4), np.array([c[1] for c in cells], int),
                       np.array([len(c) > 2 and c[2] for c in cells], bool))


def tally(candidates, cells, num_classes=3):
    """Candidates are rows of box, label, confidence."""
    return judge(np.array([c[0] for c in candidates], float).reshape(-1, 4), np.array([c[1] for c in candidates], int),
                 np.array([c[2] for c in candidates], float), hidden(*cells), num_classes)


def numbers(found):
    return found.taken.tolist(), found.placed.tolist(), found.right.tolist()


# ------------------------------------------------------------------ by hand

def test_two_of_three_are_right_and_two_of_four_are_found():
    found = tally([(A, 0, .9), (B, 1, .8), (FAR, 1, .7)], [(A, 0), (B, 1), ([50., 50., 60., 60.], 1), (FAR[::-1], 2)])
    assert numbers(found) == ([1, 2, 0], [1, 1, 0], [1, 1, 0])
    assert found.iou.tolist() == [1, 1, 0]


def test_a_cell_counts_once():
    found = tally([(A, 0, .9), (A, 0, .8), ([0., 0., 10., 9.], 0, .95)], [(A, 0)])
    assert numbers(found) == ([3, 0, 0], [1, 0, 0], [1, 0, 0])
    assert found.iou.tolist() == pytest.approx([0.9, 0, 0])  # of the most confident candidate, not of the best box


def test_another_class_is_placed_and_not_right():
    assert numbers(tally([(A, 2, .9)], [(A, 0)])) == ([0, 0, 1], [0, 0, 1], [0, 0, 0])


def test_the_wrong_class_does_not_push_out_the_right_one():
    found = tally([(A, 2, .9), (A, 0, .6)], [(A, 0)])
    assert numbers(found) == ([1, 0, 1], [1, 0, 0], [1, 0, 0])


def test_wrong_class_may_take_what_is_left():
    found = tally([(A, 2, .9), (A, 0, .6)], [(A, 0), ([0., 0., 10., 8.], 1)])
    assert numbers(found) == ([1, 0, 1], [1, 0, 1], [1, 0, 0])


@pytest.mark.parametrize(('height', 'right'), [(5.0, 1), (4.9, 0)])
def test_half_is_enough(height, right):
    assert tally([([0., 0., 10., height], 0, .9)], [(A, 0)]).right.sum() == right


def test_ignored_cells_are_neither_right_nor_wrong_nor_hidden():
    cells = [(A, 0, True), (B, 1)]
    found = tally([(A, 0, .9), (A, 2, .9), (B, 1, .5), (FAR, 1, .5)], cells)
    assert numbers(found) == ([0, 2, 0], [0, 1, 0], [0, 1, 0])
    assert count_hidden(hidden(*cells), 3).tolist() == [0, 1, 0]


def test_nothing_taken_and_nothing_hidden():
    assert numbers(tally([], [(A, 0)])) == numbers(tally([], [])) == ([0] * 3,) * 3
    assert numbers(tally([(A, 1, .9)], [])) == ([0, 1, 0], [0] * 3, [0] * 3)
    cell, iou = match_place_and_class(np.zeros((0, 4)), np.zeros(0, int), np.zeros(0), hidden())
    assert cell.shape == iou.shape == (0,)


def test_inputs_stay_as_they_are_and_twice_is_the_same():
    boxes, labels, confidence, cells = np.array([A, B, A]), np.array([0, 1, 2]), np.array([.2, .3, .9]), hidden((A, 0))
    copies = boxes.copy(), labels.copy(), confidence.copy()
    first = judge(boxes, labels, confidence, cells, 3)
    assert numbers(first) == numbers(judge(boxes, labels, confidence, cells, 3))
    assert all((a == b).all() for a, b in zip((boxes, labels, confidence), copies))


def test_a_label_that_is_no_class_is_refused():
    with pytest.raises(UserError, match='class 3 among 3'):
        tally([(A, 3, .9)], [(A, 0)])


@pytest.mark.parametrize(('box', 'is_hidden'), [
    ([40., 0., 60., 10.], False),     # half outside, centre on the border: known
    ([41., 0., 61., 10.], True),      # half inside, centre outside: nobody labelled it
    ([0., 0., 10., 10.], False),
    ([80., 80., 90., 90.], True)])
def test_hidden_goes_by_the_centre(box, is_hidden):
    found = hide(np.array([box]), np.array([1]), np.array([False]), np.array([[0., 0., 50., 50.]]))
    assert (found.labels.tolist() == [1]) is is_hidden


def test_without_region_all_is_hidden_and_a_whole_one_hides_nothing():
    boxes, labels, ignored = np.array([A, B]), np.array([0, 1]), np.array([False, True])
    assert hide(boxes, labels, ignored, np.zeros((0, 4))).ignored.tolist() == [False, True]
    assert not len(hide(boxes, labels, ignored, np.array([[0., 0., 400., 400.]])).labels)
    assert not len(hide(np.zeros((0, 4)), np.zeros(0), np.zeros(0), np.zeros((0, 4))).labels)


def test_scores_by_hand():
    found = scores(taken=5, placed=4, right=3, iou=2.4, hidden=12)
    assert found == dict(taken=5, right=3, wrong_class=1, wrong_place=1, hidden=12, precision=.6, recall=.25,
                         precision_any_class=.8, mean_iou=pytest.approx(.8))
    assert scores(0, 0, 0, 0., 0) == dict(taken=0, right=0, wrong_class=0, wrong_place=0, hidden=0, precision=None,
                                          recall=None, precision_any_class=None, mean_iou=None)


def test_summary_adds_up_over_images_and_classes():
    images = [([(A, 0, .9), (B, 1, .8)], [(A, 0)]), ([(A, 1, .7)], [(A, 0), (B, 1)]), ([], [(FAR, 2)])]
    total = sum((tally(*image) for image in images), Tally.empty(3))
    hidden_cells = np.sum([count_hidden(hidden(*cells), 3) for _, cells in images], 0)
    found = summarise(total, hidden_cells, ['a', 'b', 'c'])
    assert (found['taken'], found['right'], found['wrong_class'], found['wrong_place']) == (3, 1, 1, 1)
    assert found['recall'] == 0.25 and found['per_class']['a']['recall'] == 0.5
    assert found['per_class']['b']['precision'] == 0 and found['per_class']['c']['precision'] is None
    for key in ('taken', 'right', 'wrong_class', 'wrong_place', 'hidden'):
        assert found[key] == sum(numbers_[key] for numbers_ in found['per_class'].values())


# --------------------------------------------------------------- brute force

def brute_iou(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inter = max(width, 0) * max(height, 0)
    return inter / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter)


def brute_match(boxes, labels, confidence, cells):
    """Two rounds of plain loops; ignored cells take whatever covers them by half."""
    result, taken = [UNMATCHED] * len(boxes), set()
    for any_class in (False, True):
        for i in sorted(range(len(boxes)), key=lambda i: -confidence[i]):
            options = [(brute_iou(boxes[i], box), j) for j, (box, label, ignored) in enumerate(cells)
                       if not ignored and j not in taken and (any_class or label == labels[i])]
            if result[i] == UNMATCHED and options and max(options)[0] >= 0.5:
                result[i] = max(options)[1]
                taken.add(result[i])
    for i, box in enumerate(boxes):
        for other, _, ignored in cells:
            width, height = min(box[2], other[2]) - max(box[0], other[0]), min(box[3], other[3]) - max(box[1], other[1])
            share = max(width, 0) * max(height, 0) / ((box[2] - box[0]) * (box[3] - box[1]))
            if result[i] == UNMATCHED and ignored and share >= 0.5:
                result[i] = DISREGARDED
    return result


def a_box():
    corner, side = st.integers(0, 8), st.integers(3, 9)
    return st.tuples(corner, corner, side, side).map(lambda b: [float(b[0]), float(b[1]), b[0] + b[2], b[1] + b[3]])


@given(st.lists(st.tuples(a_box(), st.integers(0, 2)), max_size=8),
       st.lists(st.tuples(a_box(), st.integers(0, 2), st.sampled_from([False, False, True])), max_size=6),
       st.randoms(use_true_random=False))
def test_matching_equals_brute_force(candidates, cells, random):
    confidence = [i / 10 for i in range(len(candidates))]
    random.shuffle(confidence)
    boxes, labels = [c[0] for c in candidates], [c[1] for c in candidates]
    cell, iou = match_place_and_class(np.array(boxes).reshape(-1, 4), np.array(labels, int), np.array(confidence),
                                      hidden(*cells))
    assert cell.tolist() == brute_match(boxes, labels, confidence, cells)
    expected = [brute_iou(box, cells[j][0]) if j >= 0 else 0 for box, j in zip(boxes, cell)]
    assert iou.tolist() == pytest.approx(expected)
    found = tally([(*c, v) for c, v in zip(candidates, confidence)], cells)
    assert (found.right <= found.placed).all() and (found.placed <= found.taken).all()
    assert found.right.sum() <= count_hidden(hidden(*cells), 3).sum()
