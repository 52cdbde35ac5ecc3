"""Scores of attributes against scikit-learn's, intervals and calibration by hand."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from mmleuk.evaluation.attribute_f1 import count_values
from mmleuk.evaluation.attribute_scores import attribute_scores, weighted_macro_f1
from mmleuk.evaluation.intervals import bootstrap_interval, t_half_width
from mmleuk.evaluation.reliability import attribute_reliability, reliability
from mmleuk.schema import IGNORE

CARDINALITIES = (2, 4, 3)


def draw(number, seed):
    generator = np.random.default_rng(seed)
    truth = np.stack([generator.integers(-1, values, number) for values in CARDINALITIES], 1)
    predicted = np.stack([generator.integers(0, values, number) for values in CARDINALITIES], 1)
    return truth, predicted


@settings(max_examples=60, deadline=None)
@given(number=st.integers(1, 30), seed=st.integers(0, 10_000))
def test_equal_to_scikit_learn(number, seed):
    truth, predicted = draw(number, seed)
    scores = attribute_scores(count_values(truth, predicted, CARDINALITIES))
    for index, values in enumerate(CARDINALITIES):
        known = truth[:, index] != IGNORE
        if not known.any():
            assert np.isnan([scores.accuracy[index], scores.f1[index]]).all()
            continue
        true, found = truth[known, index], predicted[known, index]
        assert scores.accuracy[index] == pytest.approx(accuracy_score(true, found))
        macro = precision_recall_fscore_support(true, found, average='macro', zero_division=0)
        assert [scores.precision[index], scores.recall[index], scores.f1[index]] == pytest.approx(macro[:3])
        each = precision_recall_fscore_support(true, found, labels=range(values), average=None, zero_division=0)
        occurs = np.isin(range(values), [*true, *found])
        ours = [scores.value_precision, scores.value_recall, scores.value_f1]
        for own, other in zip(ours, each[:3], strict=True):
            np.testing.assert_allclose(own[index, :values][occurs], other[occurs])
            assert np.isnan(own[index, :values][~occurs]).all()
        assert scores.support[index, :values].tolist() == each[3].tolist()


def test_means_leave_out_what_is_undefined():
    truth = np.array([[0, -1], [1, -1]])
    means = attribute_scores(count_values(truth, np.array([[0, 0], [0, 1]]), (2, 2))).means([0, 1])
    assert means == pytest.approx(dict(accuracy=0.5, precision=0.25, recall=0.5, f1=1 / 3))
    empty = attribute_scores(count_values(np.zeros((0, 2), int), np.zeros((0, 2), int), (2, 2)))
    assert np.isnan(list(empty.means([0, 1]).values())).all()


@settings(max_examples=30, deadline=None)
@given(number=st.integers(1, 15), seed=st.integers(0, 10_000))
def test_a_weight_repeats_a_cell(number, seed):
    truth, predicted = draw(number, seed)
    weights = np.random.default_rng(seed).integers(0, 4, (3, number))
    found = weighted_macro_f1(truth, predicted, CARDINALITIES, weights)
    for row, score in zip(weights, found, strict=True):
        again = attribute_scores(count_values(truth.repeat(row, 0), predicted.repeat(row, 0), CARDINALITIES))
        assert score == pytest.approx(again.means([0, 1, 2])['f1'], nan_ok=True)


def test_t_interval_by_hand():
    """t of 2 degrees of freedom at 97.5% is 4.3027."""
    assert t_half_width([1.0, 2.0, 3.0]) == pytest.approx(4.30265 / 3 ** 0.5, rel=1e-4)
    assert t_half_width([0.5, 0.5]) == 0
    assert t_half_width([0.5]) is None


def test_bootstrap_of_a_mean_has_the_known_width():
    """Of 400 coin flips, 1.96 * sqrt(0.25 / 400) = 0.049 to each side."""
    flips = np.arange(400) % 2

    def share(weights):
        return (weights * flips).sum(1) / weights.sum(1)

    low, high = bootstrap_interval(share, np.arange(400), resamples=4000)
    assert [low, high] == pytest.approx([0.451, 0.549], abs=0.005)
    assert (low, high) == bootstrap_interval(share, np.arange(400), resamples=4000)  # equal seeds, equal intervals
    paired = bootstrap_interval(share, np.arange(400) // 20 * 2 + flips, resamples=4000)
    assert paired[1] - paired[0] > 2 * (high - low)  # ten equal cells per image carry less information


def test_bootstrap_without_images():
    assert np.isnan(bootstrap_interval(lambda weights: weights.sum(1), np.zeros(0, int))).all()


def test_reliability_equals_scikit_learns():
    generator = np.random.default_rng(0)
    probability = generator.uniform(0, 1, 500)
    happened = generator.uniform(0, 1, 500) < probability ** 2
    found = reliability(probability, happened, bins=10)
    accuracy, confidence = calibration_curve(happened, probability, n_bins=10)
    np.testing.assert_allclose(found.accuracy, accuracy)
    np.testing.assert_allclose(found.confidence, confidence)
    assert found.ece == pytest.approx(np.average(np.abs(accuracy - confidence), weights=found.count))


def test_reliability_of_attributes():
    """Three known predictions: 0.8 right, 0.8 wrong, 1.0 right; |0.5 - 0.8| * 2 / 3 + 0."""
    truth = np.array([[0, 1], [1, IGNORE]])
    probs = np.array([[[0.8, 0.2], [0.0, 1.0]], [[0.8, 0.2], [0.6, 0.4]]])
    found = attribute_reliability(truth, probs)
    assert found.count.sum() == 3
    assert found.ece == pytest.approx(0.2)


def test_reliability_without_predictions_says_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert np.isnan(attribute_reliability(np.full((2, 3), IGNORE), np.zeros((2, 3, 2))).ece)
        assert np.isnan(reliability(np.zeros(0), np.zeros(0, bool)).ece)


def test_certain_predictions_are_in_the_last_bin():
    assert reliability(np.array([0.0, 1.0]), np.array([False, True]), bins=4).count.tolist() == [1, 0, 0, 1]
