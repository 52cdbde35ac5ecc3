import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy as scipy_entropy

from mmleuk.errors import UserError
from mmleuk.models.task_modules.pseudo_labels import (
    CRITERIA,
    Candidates,
    PseudoLabelSelector,
    class_entropy,
    not_labelled,
    outside_regions,
    suppress,
)
from mmleuk.models.task_modules.yolov5_assigner import BatchCells

SURE_CLASS = [0.99, 0.0, 0.0]


def candidates(*rows):
    """Rows of image, box, confidence and, where it matters, class probabilities."""
    return Candidates(
        image=torch.tensor([r[0] for r in rows], dtype=torch.long),
        boxes=torch.tensor([r[1] for r in rows], dtype=torch.float32).view(-1, 4),
        probabilities=torch.tensor([r[3] if len(r) > 3 else SURE_CLASS for r in rows]).view(-1, 3),
        confidence=torch.tensor([r[2] for r in rows], dtype=torch.float32))


def cells(*rows):
    rows = torch.tensor(rows, dtype=torch.float32).view(-1, 5)
    centre = (rows[:, 1:3] + rows[:, 3:]) / 2
    return BatchCells(image=rows[:, 0].long(), label=torch.zeros(len(rows), dtype=torch.long),
                      boxes=torch.cat([centre, rows[:, 3:] - rows[:, 1:3]], 1))


BOX = [0., 0., 10., 10.]


@given(st.lists(st.lists(st.floats(0.001, 1), min_size=3, max_size=3), min_size=1, max_size=5))
def test_entropy_is_that_of_scipy_in_bits(rows):
    expected = scipy_entropy(np.array(rows), base=2, axis=1)
    assert class_entropy(torch.tensor(rows)).tolist() == pytest.approx(expected.tolist(), abs=1e-5)


def test_entropy_by_hand():
    rows = torch.tensor([[0.25, 0.25, 0.25, 0.25], [0.8, 0.8, 0., 0.], [1., 0., 0., 0.], [0., 0., 0., 0.]])
    assert class_entropy(rows).tolist() == pytest.approx([2, 1, 0, 0])


@pytest.mark.parametrize(('row', 'fate'), [
    ((0, BOX, 0.69), 'confidence'),
    ((0, BOX, 0.70), 'unsure'),
    ((0, BOX, 0.95), 'unsure'),
    ((0, BOX, 0.951), 'kept'),
    ((0, [0., 0., 10., 5.], 0.99), 'area'),            # as small as the smallest cell
    ((0, [0., 0., 10., 5.1], 0.99), 'kept'),
    ((0, [0., 0., 10., 5.], 0.8), 'area'),             # area comes before the question of the class
    ((0, [0., 0., 10., 5.], 0.6), 'confidence'),       # and confidence before area
    ((0, [9., 9., 0., 0.], 0.99), 'area'),             # inverted: no area
    ((0, BOX, 0.99, [0.99, 0.99, 0.0]), 'entropy'),    # one bit
    ((0, BOX, 0.99, [0.99, 0.04, 0.0]), 'kept'),       # 0.238 bits
    ((0, BOX, 0.99, [0.99, 0.05, 0.0]), 'entropy'),    # 0.277 bits
    ((0, BOX, 0.80, [0.9, 0.9, 0.9]), 'unsure'),       # entropy is no matter for the unsure
])
def test_each_criterion_by_hand(row, fate):
    selection = PseudoLabelSelector().select(candidates(row), min_area=50.)
    assert selection.counts == {name: int(name == fate) for name in CRITERIA}
    assert len(selection.kept.image) == (fate == 'kept') and len(selection.unsure.image) == (fate == 'unsure')


def test_entropy_threshold_is_strict():
    selector = PseudoLabelSelector(max_entropy=1.0)
    assert selector.select(candidates((0, BOX, 0.99, [0.5, 0.5, 0.])), 0.).counts['entropy'] == 1


@given(st.lists(st.tuples(st.just(0), st.tuples(*[st.floats(0, 20)] * 4), st.floats(0.0, 1.0),
                          st.tuples(*[st.floats(0, 1)] * 3)), max_size=12))
def test_every_candidate_falls_to_exactly_one(rows):
    found = candidates(*rows)
    selection = PseudoLabelSelector().select(found, 30.)
    assert sum(selection.counts.values()) == len(rows) and tuple(selection.counts) == CRITERIA
    assert len(selection.entropy) == selection.counts['kept'] == len(selection.kept.image)
    assert (selection.kept.confidence > 0.95).all() and (selection.entropy < 0.26).all()


def test_outside_regions():
    boxes = torch.tensor([[0., 0., 10., 10.], [20., 0., 30., 10.], [0., 0., 10., 10.], [0., 0., 20., 20.]])
    image = torch.tensor([0, 0, 1, 0])
    first = torch.tensor([[0., 0., 8., 8.], [24., 4., 26., 6.]])
    assert outside_regions(image, boxes, [first, torch.zeros(0, 4)]).tolist() == [False, False, True, True]
    edge = torch.tensor([[0., 0., 5., 5.]])  # borders belong to the region
    assert outside_regions(image[:1], boxes[:1], [edge]).tolist() == [False]


def test_overlap_with_labelled_cells_of_the_same_image():
    boxes = torch.tensor([[0., 0., 10., 10.], [0., 0., 10., 10.], [50., 50., 60., 60.], [0., 0., 10., 5.]])
    image = torch.tensor([0, 1, 0, 0])
    assert not_labelled(image, boxes, cells([0, 0, 0, 10, 10]), 0.5).tolist() == [False, True, True, True]
    assert not_labelled(image, boxes, cells(), 0.5).all()
    assert not_labelled(image[:0], boxes[:0], cells([0, 0, 0, 10, 10]), 0.5).shape == (0,)


def test_suppression_ignores_class_keeps_the_best_and_limits_per_image():
    found = candidates((0, [0, 0, 10, 10], 0.8, [0.9, 0., 0.]), (0, [1, 0, 11, 10], 0.9, [0., 0.9, 0.]),
                       (1, [0, 0, 10, 10], 0.7), (0, [40, 40, 50, 50], 0.6), (0, [80, 0, 90, 9], 0.65))
    kept = suppress(found, 0.2, 2)
    assert sorted(zip(kept.image.tolist(), kept.confidence.tolist())) == [
        (0, pytest.approx(0.65)), (0, pytest.approx(0.9)), (1, pytest.approx(0.7))]
    assert len(suppress(candidates(), 0.2, 2).image) == 0


def test_images_never_suppress_each_other_even_beyond_the_border():
    """A box past the lower right corner of one image, one past the upper left corner of the next."""
    found = candidates((0, [0, 0, 100, 100], 0.9), (1, [-100, -100, 0, 0], 0.8))
    assert len(suppress(found, 0.2, 9).image) == 2


def test_candidates_are_suppressed_then_filtered():
    selector = PseudoLabelSelector()
    raw = candidates((0, [0, 0, 10, 10], 0.9), (0, [30, 30, 40, 40], 0.9), (0, [60, 60, 70, 70], 0.9),
                     (0, [61, 60, 71, 70], 0.8), (1, [0, 0, 10, 10], 0.7))
    regions = [torch.tensor([[0., 0., 20., 20.]]), torch.zeros(0, 4)]
    found = selector.candidates(raw, regions, cells([0, 30, 31, 40, 40]))
    assert sorted(zip(found.image.tolist(), found.boxes[:, 0].tolist())) == [(0, 60.), (1, 0.)]
    assert selector.candidates(candidates(), regions, cells()).image.shape == (0,)


@pytest.mark.parametrize('thresholds', [(0, 0.9), (0.9, 0.7), (0.7, 1.0)])
def test_thresholds_in_order(thresholds):
    with pytest.raises(UserError, match='0 < min_confidence <= sure_confidence < 1'):
        PseudoLabelSelector(min_confidence=thresholds[0], sure_confidence=thresholds[1])


def test_candidates_reach_down_to_the_lowest_threshold():
    assert PseudoLabelSelector(min_confidence=0.3).candidate_confidence == 0.3
    assert PseudoLabelSelector().candidate_confidence == 0.5


def test_empty_and_twice():
    selector = PseudoLabelSelector()
    assert set(selector.select(candidates(), 0.).counts.values()) == {0}
    found = candidates((0, BOX, 0.99), (0, BOX, 0.8))
    assert selector.select(found, 0.).counts == selector.select(found, 0.).counts
