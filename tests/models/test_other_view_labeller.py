"""What two views find for each other, and a teacher for both, by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.structures import InstanceData

from mmleuk.models.labellers import CalibratedViewLabeller, OtherViewLabeller, TeacherMergeLabeller
from mmleuk.models.labellers.base import shows_cell
from mmleuk.models.labellers.other_view import merge_with_teacher

A, B, C = [0., 0., 10., 10.], [20., 0., 30., 10.], [40., 0., 50., 10.]
A_NEAR = [0., 0., 10., 6.]  # IoU 0.6 with A
A_HALF = [0., 0., 10., 5.]  # IoU 0.5 with A
A_FAR = [0., 0., 10., 4.]  # IoU 0.4 with A


def boxes(*rows, labels=None):
    return InstanceData(bboxes=torch.tensor(rows).view(-1, 4),
                        labels=torch.tensor(labels if labels is not None else [0] * len(rows), dtype=torch.long))


def scored(*rows, labels=None):
    """Rows of (box, score)."""
    found = boxes(*[box for box, _ in rows], labels=labels)
    found.scores = torch.tensor([float(score) for _, score in rows])
    return found


def rows_of(instances):
    return [(box, round(score, 3), label) for box, score, label in zip(
        instances.bboxes.tolist(), instances.scores.tolist(), instances.labels.tolist())]


def test_a_detection_on_a_cell_of_its_class_is_that_cell():
    truth = boxes(A, B, labels=[0, 1])
    found = boxes(A_NEAR, A_FAR, A_NEAR, C, B, labels=[0, 0, 1, 0, 1])
    assert shows_cell(found, truth, 0.4).tolist() == [True, False, False, False, True]  # 0.4 isn't above 0.4


@pytest.mark.parametrize(('found', 'truth'), [(boxes(), boxes(A)), (boxes(A), boxes()), (boxes(), boxes())])
def test_nothing_to_compare(found, truth):
    assert shows_cell(found, truth, 0.4).tolist() == [False] * len(found)


def test_each_detection_is_a_label_or_a_labelled_cell():
    """The other view's detections count like annotated cells; regions are not used."""
    labeller = OtherViewLabeller()
    answer = labeller.select(scored((A_NEAR, 0.9), (B, 0.7), labels=[2, 1]), boxes(A, labels=[2]), torch.zeros(0, 4))
    assert labeller.count([answer, answer]) == dict(labelled=2, kept=2)
    assert labeller.group(answer, 'kept').bboxes.tolist() == [B]
    assert answer.weight.tolist() == [0, 1] and answer.teaches_box.tolist() == [False, True]
    assert labeller.counts_as_annotated and not answer.ignored.any()


REGION = torch.tensor([[0., 0., 15., 15.]])  # holds A alone


def calibrated(**options):
    return CalibratedViewLabeller(num_classes=2, precision=0.6, calibration=dict(min_evidence=2, decay=0.9),
                                  **options)


def test_without_evidence_a_measured_threshold_finds_nothing():
    answer = calibrated().select(scored((B, 0.99), (A_NEAR, 0.99)), boxes(A), REGION)
    assert calibrated().count([answer]) == dict(labelled=1, confidence=1, kept=0)


def test_a_threshold_is_measured_inside_the_regions_per_class():
    """Class 0: seen 0.9 right twice, 0.4 wrong; 2 of 3 + 1 are right above 0.4, too few; 2 of 2 + 1 above 0.9."""
    labeller = calibrated()
    right = scored((A, 0.905), (B, 0.1))  # B lies outside, so nobody knows whether it is right
    wrong = scored((A_FAR, 0.405))  # IoU 0.4 with the cell
    labeller.observe([right, right, wrong], [boxes(A)] * 3, [REGION] * 3)
    assert labeller.calibration.seen.sum() == 3 and labeller.calibration.thresholds().tolist() == [
        [pytest.approx(0.9), 2.0]]
    found = scored((B, 0.91), (C, 0.89), (B, 0.95), (A_NEAR, 0.5), (A_FAR, 0.95), labels=[0, 0, 1, 0, 0])
    answer = labeller.select(found, boxes(A), REGION)
    assert labeller.count([answer]) == dict(labelled=1, confidence=2, kept=2)
    kept = labeller.group(answer, 'kept')
    assert kept.bboxes.tolist() == [B, A_FAR]  # as in Co-mining, a region keeps nothing away
    assert labeller.counts_as_annotated and answer.weight.tolist() == [1, 0, 0, 0, 1]


def test_measured_thresholds_travel_with_the_weights():
    first, second = calibrated(), calibrated()
    first.observe([scored((A, 0.9))] * 3, [boxes(A)] * 3, [REGION] * 3)
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.calibration.thresholds(), second.calibration.thresholds())
    assert second.calibration.thresholds()[0, 0] < 1


def test_nothing_found_is_nothing_to_judge():
    labeller = calibrated()
    labeller.observe([scored(), scored((A, 0.5))], [boxes(A), boxes()], [REGION, torch.zeros(0, 4)])
    assert labeller.calibration.seen.sum() == 0  # no region: no evidence
    assert len(labeller.select(scored(), boxes(), REGION)) == 0
    assert labeller.request('student').min_score == 0.05


def test_a_teacher_is_merged_before_labelled_cells_are_dropped():
    labeller = TeacherMergeLabeller()
    found = scored((A, 0.7), (B, 0.6), (B, 0.8), (C, 0.65), labels=[0, 0, 1, 0])
    found.source = torch.tensor([1, 1, 2, 2])  # student, student, teacher, teacher
    answer = labeller.select(found, boxes(A), torch.zeros(0, 4))
    kept = labeller.group(answer, 'kept')
    assert rows_of(kept) == [(B, 0.8, 1), (C, 0.65, 0)] and kept.source.tolist() == [2, 2]
    assert labeller.count([answer]) == dict(labelled=1, kept=2)
    assert labeller.request('student').min_score == 0.5 and labeller.request('teacher').min_score == 0.6


def test_teacher_by_hand():
    own = scored((A, 0.7), (B, 0.9), (C, 0.6), labels=[0, 0, 1])
    near_b, elsewhere = [20., 0., 30., 7.], [60., 0., 70., 10.]
    teacher = scored((A_NEAR, 0.7), (near_b, 0.8), (elsewhere, 0.65), labels=[1, 0, 0])
    merged = merge_with_teacher(own, teacher, 0.5)
    assert rows_of(merged) == [(B, 0.9, 0), (C, 0.6, 1), (A_NEAR, 0.7, 1), (elsewhere, 0.65, 0)]


def test_half_an_overlap_is_another_cell():
    merged = merge_with_teacher(scored((A, 0.6)), scored((A_HALF, 0.9)), 0.5)
    assert rows_of(merged) == [(A, 0.6, 0), (A_HALF, 0.9, 0)]


def test_one_teacher_box_replaces_two_but_comes_once():
    left, right = [0., 0., 10., 6.], [0., 4., 10., 10.]
    merged = merge_with_teacher(scored((left, 0.6), (right, 0.9)), scored((A, 0.8)), 0.5)
    assert rows_of(merged) == [(right, 0.9, 0), (A, 0.8, 0)]


def test_teacher_or_student_alone():
    some, none = scored((A, 0.7), (B, 0.6)), scored()
    assert rows_of(merge_with_teacher(some, none, 0.5)) == rows_of(some)
    assert rows_of(merge_with_teacher(none, some, 0.5)) == rows_of(some)
    assert len(merge_with_teacher(none, none, 0.5)) == 0


box = st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(1, 12), st.integers(1, 12)).map(
    lambda b: [float(b[0]), float(b[1]), float(b[0] + b[2]), float(b[1] + b[3])])
detection = st.tuples(box, st.floats(0.5, 1, width=32))


def iou(a, b):
    width = max(0., min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0., min(a[3], b[3]) - max(a[1], b[1]))
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


@given(st.lists(detection, max_size=4), st.lists(detection, max_size=4))
def test_merging_equals_prose(own, teacher):
    kept = [(b, s) for b, s in own if not any(iou(b, c) > 0.5 and t >= s for c, t in teacher)]
    taught = [(c, t) for c, t in teacher if any(iou(b, c) > 0.5 and t >= s for b, s in own)
              or not any(iou(b, c) > 0.5 for b, _ in own)]
    merged = merge_with_teacher(scored(*own), scored(*teacher), 0.5)
    assert [(b, round(s, 3)) for b, s, _ in rows_of(merged)] == [(b, round(s, 3)) for b, s in kept + taught]
