import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.structures import InstanceData
from scipy.stats import entropy as scipy_entropy

from mmleuk.errors import UserError
from mmleuk.models.labellers import ThresholdLabeller
from mmleuk.models.labellers.base import centres_in, overlaps_cell, suppress
from mmleuk.models.labellers.thresholds import class_entropy

SURE_CLASS = [0.99, 0.0, 0.0]
NOWHERE = torch.zeros(0, 4)


def predictions(*rows):
    """Rows of box, confidence and, where it matters, class probabilities."""
    probabilities = torch.tensor([r[2] if len(r) > 2 else SURE_CLASS for r in rows]).view(-1, 3)
    return InstanceData(bboxes=torch.tensor([r[0] for r in rows], dtype=torch.float32).view(-1, 4),
                        scores=torch.tensor([r[1] for r in rows], dtype=torch.float32),
                        labels=probabilities.argmax(1), probabilities=probabilities,
                        source=torch.ones(len(rows), dtype=torch.long))


def cells(*boxes):
    return InstanceData(bboxes=torch.tensor(boxes, dtype=torch.float32).view(-1, 4),
                        labels=torch.zeros(len(boxes), dtype=torch.long))


def labeller(min_area=0., **settings):
    found = ThresholdLabeller(**settings)
    found.min_area = min_area
    return found


def outcomes(labeller, found, truth=None, regions=NOWHERE):
    answer = labeller.select(found, cells() if truth is None else truth, regions)
    return [labeller.criteria[index] for index in answer.criterion]


BOX = [0., 0., 10., 10.]


@given(st.lists(st.lists(st.floats(0.001, 1), min_size=3, max_size=3), min_size=1, max_size=5))
def test_entropy_is_that_of_scipy_in_bits(rows):
    expected = scipy_entropy(np.array(rows), base=2, axis=1)
    assert class_entropy(torch.tensor(rows)).tolist() == pytest.approx(expected.tolist(), abs=1e-5)


def test_entropy_by_hand():
    rows = torch.tensor([[0.25, 0.25, 0.25, 0.25], [0.8, 0.8, 0., 0.], [1., 0., 0., 0.], [0., 0., 0., 0.]])
    assert class_entropy(rows).tolist() == pytest.approx([2, 1, 0, 0])


@pytest.mark.parametrize(('row', 'outcome'), [
    ((BOX, 0.69), 'confidence'),
    ((BOX, 0.70), 'unsure'),
    ((BOX, 0.95), 'unsure'),
    ((BOX, 0.951), 'kept'),
    (([0., 0., 10., 5.], 0.99), 'area'),            # as small as the smallest cell
    (([0., 0., 10., 5.1], 0.99), 'kept'),
    (([0., 0., 10., 5.], 0.8), 'area'),             # area is tested before t1
    (([0., 0., 10., 5.], 0.6), 'confidence'),       # and confidence before area
    (([9., 9., 0., 0.], 0.99), 'area'),             # inverted: no area
    ((BOX, 0.99, [0.99, 0.99, 0.0]), 'entropy'),    # one bit
    ((BOX, 0.99, [0.99, 0.04, 0.0]), 'kept'),       # 0.238 bits
    ((BOX, 0.99, [0.99, 0.05, 0.0]), 'entropy'),    # 0.277 bits
    ((BOX, 0.80, [0.9, 0.9, 0.9]), 'unsure'),       # entropy doesn't matter below t1
])
def test_each_criterion_by_hand(row, outcome):
    paper = labeller(min_area=50.)
    answer = paper.select(predictions(row), cells(), NOWHERE)
    assert paper.count([answer]) == {name: int(name == outcome) for name in paper.criteria}
    assert answer.weight.tolist() == [float(outcome == 'kept')] and answer.teaches_box.tolist() == [outcome == 'kept']
    assert not answer.ignored.any() and answer.source.tolist() == [1]


def test_entropy_threshold_is_strict():
    assert outcomes(labeller(max_entropy=1.0), predictions((BOX, 0.99, [0.5, 0.5, 0.]))) == ['entropy']


@given(st.lists(st.tuples(st.tuples(*[st.floats(0, 20)] * 4), st.floats(0.0, 1.0), st.tuples(*[st.floats(0, 1)] * 3)),
                max_size=12))
def test_every_prediction_falls_to_exactly_one(rows):
    paper = labeller(min_area=30.)
    answer = paper.select(predictions(*rows), cells(), NOWHERE)
    assert sum(paper.count([answer]).values()) == len(rows) == len(answer)
    kept = paper.group(answer, 'kept')
    assert (kept.scores > 0.95).all() and (kept.entropy < 0.26).all() and (kept.weight == 1).all()


def test_what_the_annotation_tells_is_no_candidate():
    """In a region, on a labelled cell whatever the class; borders belong to the region, half an overlap is another."""
    found = predictions(([0., 0., 10., 10.], 0.99), ([20., 0., 30., 10.], 0.99), ([50., 50., 60., 60.], 0.99),
                        ([50., 50., 60., 55.], 0.99), ([0., 0., 20., 20.], 0.99))
    regions = torch.tensor([[0., 0., 8., 8.], [20., 0., 25., 5.]])
    answer = labeller().select(found, cells([50, 50, 60, 60]), regions)
    assert answer.bboxes.tolist() == [[50., 50., 60., 55.], [0., 0., 20., 20.]]


def test_centres_and_overlaps_by_hand():
    boxes = torch.tensor([[0., 0., 10., 10.], [20., 0., 30., 10.]])
    assert centres_in(boxes, torch.tensor([[0., 0., 5., 5.]])).tolist() == [True, False]
    assert overlaps_cell(boxes, torch.tensor([[0., 0., 10., 5.]]), 0.5).tolist() == [False, False]
    assert overlaps_cell(boxes, torch.tensor([[0., 0., 10., 5.1]]), 0.5).tolist() == [True, False]
    for nothing in (overlaps_cell(boxes, NOWHERE, 0.5), centres_in(boxes, NOWHERE)):
        assert nothing.tolist() == [False, False]
    assert overlaps_cell(NOWHERE, boxes, 0.5).shape == (0,)


def test_suppression_ignores_class_and_keeps_the_best():
    found = predictions(([0, 0, 10, 10], 0.8, [0.9, 0., 0.]), ([1, 0, 11, 10], 0.9, [0., 0.9, 0.]),
                        ([40, 40, 50, 50], 0.6), ([80, 0, 90, 9], 0.65))
    assert suppress(found, 0.2, 2).scores.tolist() == pytest.approx([0.9, 0.65])
    assert suppress(found, 0.2).scores.tolist() == pytest.approx([0.9, 0.65, 0.6])
    assert len(suppress(predictions(), 0.2, 2)) == 0


@pytest.mark.parametrize('thresholds', [(0, 0.9), (0.9, 0.7), (0.7, 1.0)])
def test_thresholds_in_order(thresholds):
    with pytest.raises(UserError, match='0 < min_confidence <= sure_confidence < 1'):
        ThresholdLabeller(min_confidence=thresholds[0], sure_confidence=thresholds[1])


def test_predictions_reach_down_to_the_lowest_threshold():
    assert labeller(min_confidence=0.3).request('student').min_score == 0.3
    assert labeller().request('student').min_score == 0.5


def test_empty_and_twice():
    paper = labeller()
    assert set(paper.count([paper.select(predictions(), cells(), NOWHERE)]).values()) == {0}
    found = predictions((BOX, 0.99), (BOX, 0.8))
    assert outcomes(paper, found) == outcomes(paper, found) == ['kept', 'unsure']
    assert set(found.keys()) == {'bboxes', 'scores', 'labels', 'probabilities', 'source'}
