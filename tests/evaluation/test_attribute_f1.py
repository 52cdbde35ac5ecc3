"""Pairs, counts and F1 against hand-worked cases, pycocotools and scikit-learn."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from mmleuk.evaluation.attribute_f1 import ABSENT, attribute_f1, count_values, detection_pairs, macro_f1, nearest_pairs
from mmleuk.schema import IGNORE
from mmleuk.structures.matching import DISREGARDED, UNMATCHED


def test_detection_pairs_by_hand():
    """Two of three cells found; one false detection counts, one lies where nothing is known; one is disregarded."""
    truth = np.array([[1, 0], [0, IGNORE], [1, 1], [IGNORE, IGNORE]])
    ignored = np.array([False, False, False, True])
    predicted = np.array([[1, 1], [1, 0], [1, 0], [0, 1], [1, 1]])
    matches = np.array([0, 1, UNMATCHED, UNMATCHED, DISREGARDED])
    counted = np.array([True, True, True, False, True])
    true, found = detection_pairs(matches, counted, truth, ignored, predicted)
    assert true.tolist() == [[1, 0], [0, IGNORE], [ABSENT, ABSENT], [1, 1]]
    assert found.tolist() == [[1, 1], [1, 0], [1, 0], [ABSENT, ABSENT]]
    counts = count_values(true, found, (2, 2))
    # First attribute: one found, claimed twice in vain, one missed: 2 / (2 + 2 + 1). Second: none found.
    assert attribute_f1(counts, (2, 2)).tolist() == [pytest.approx(2 / 5), 0.0]


def test_nearest_pairs_by_hand():
    """Cell 0 and 2 share the first prediction; cell 1 has an unknown value and is left out."""
    iou = np.array([[0.4, 0.9, 0.0], [0.1, 0.0, 0.0]])
    truth = np.array([[1, 0], [1, IGNORE], [0, 1]])
    predicted = np.array([[1, 1], [0, 0]])
    true, found = nearest_pairs(iou, truth, predicted)
    assert true.tolist() == [[1, 0], [0, 1]] and found.tolist() == [[1, 1], [1, 1]]
    true, found = nearest_pairs(np.zeros((0, 3)), truth, np.zeros((0, 2), int))
    assert found.tolist() == [[ABSENT, ABSENT]] * 2


def test_nearest_pairs_take_the_highest_iou_of_each_cell():
    """However low it is, wherever it stands in the list; the first, most confident one of a draw."""
    iou = np.array([[0.2, 0.0, 0.5], [0.7, 0.1, 0.5], [0.3, 0.05, 0.4]])
    truth = np.array([[0], [1], [0]])
    true, found = nearest_pairs(iou, truth, np.array([[10], [11], [12]]))
    assert true.tolist() == truth.tolist() and found.tolist() == [[11], [11], [10]]


def test_what_never_occurs_has_no_f1():
    """Ten correct absences of value 1, and an attribute that is told right: the mean is of the second alone."""
    truth = np.stack([np.zeros(10, int), np.arange(10) % 2], 1)
    scores = attribute_f1(count_values(truth, truth, (2, 2)), (2, 2))
    assert math.isnan(scores[0]) and scores[1] == 1.0 and macro_f1(scores) == 1.0
    claimed = truth.copy()
    claimed[0, 0] = 1  # claimed once in vain: now there is something to score
    assert attribute_f1(count_values(truth, claimed, (2, 2)), (2, 2)).tolist() == [0.0, 1.0]
    missed = np.array([[1, 1], [0, 1]])
    assert attribute_f1(count_values(missed, np.zeros((2, 2), int), (2, 2)), (2, 2)).tolist() == [0.0, 0.0]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10 ** 6), count=st.integers(1, 30))
def test_f1_agrees_with_scikit_learn(seed, count):
    """Unknown values dropped by hand, one attribute of each kind; half-pairs as a value of their own."""
    rng = np.random.default_rng(seed)
    cardinalities = (2, 2, 4)
    truth = np.stack([rng.integers(-1, values, count) for values in cardinalities], 1)
    predicted = np.stack([rng.integers(0, values, count) for values in cardinalities], 1)
    predicted[rng.random(count) < 0.2] = ABSENT
    truth[rng.random(count) < 0.2] = ABSENT
    counts = count_values(truth, predicted, cardinalities)
    positive, macro = (attribute_f1(counts, cardinalities, binary) for binary in ('positive', 'macro'))
    for index, values in enumerate(cardinalities):
        known = truth[:, index] != IGNORE
        true, found = truth[known, index], predicted[known, index]
        if not (true >= 0).any():
            assert math.isnan(positive[index]) and math.isnan(macro[index])
            continue
        occurring = sorted((set(true) | set(found)) - {ABSENT})
        assert macro[index] == pytest.approx(f1_score(true, found, labels=occurring, average='macro', zero_division=0))
        if values == 2:
            expected = f1_score(true == 1, found == 1, zero_division=np.nan)
            assert positive[index] == pytest.approx(expected, nan_ok=True)
        else:
            assert positive[index] == macro[index]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10 ** 6), cut=st.integers(0, 20))
def test_counts_of_parts_add_up(seed, cut):
    rng = np.random.default_rng(seed)
    truth, predicted = rng.integers(-1, 3, (20, 2)), rng.integers(0, 3, (20, 2))
    before = truth.copy(), predicted.copy()
    whole = count_values(truth, predicted, (3, 3))
    parts = count_values(truth[:cut], predicted[:cut], (3, 3)) + count_values(truth[cut:], predicted[cut:], (3, 3))
    for name in ('tp', 'fp', 'fn', 'support'):
        assert (getattr(whole, name) == getattr(parts, name)).all()
    assert (whole.support.sum(1) == (truth != IGNORE).sum(0)).all()
    assert (truth == before[0]).all() and (predicted == before[1]).all()


def test_nothing_known_and_nothing_found():
    nothing = np.zeros((0, 2), int)
    scores = attribute_f1(count_values(nothing, nothing, (2, 3)), (2, 3))
    assert np.isnan(scores).all() and math.isnan(macro_f1(scores))
    truth = np.array([[1, IGNORE], [0, IGNORE]])
    scores = attribute_f1(count_values(truth, np.full_like(truth, ABSENT), (2, 3)), (2, 3))
    assert scores[0] == 0.0 and math.isnan(scores[1]) and macro_f1(scores) == 0.0
