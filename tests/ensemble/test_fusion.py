"""Weighted Boxes Fusion worked by hand, against the paper's formulas, and against MMDetection's own results."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.models.utils import weighted_boxes_fusion

from mmleuk.ensemble import Detected, FusionSettings, fuse
from mmleuk.errors import UserError

NOTHING = Detected(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.long))
COUNT_ALL = dict(conf_type='avg', allows_overflow=True)


def saw(*cells, probs=None):
    """One model's cells: (x1, y1, x2, y2, score, label)."""
    table = torch.tensor(cells, dtype=torch.float64).reshape(-1, 6)
    return Detected(table[:, :4], table[:, 4], table[:, 5].long(),
                    None if probs is None else torch.tensor(probs, dtype=torch.float64))


def test_two_boxes_of_two_models():
    # IoU 100 / 120. Weighted by 0.6 and 0.2: x2 = (0.6 * 10 + 0.2 * 12) / 0.8 = 10.5.
    fused = fuse([saw((0, 0, 10, 10, 0.6, 2)), saw((0, 0, 12, 10, 0.2, 2))], with_members=True)
    assert fused.boxes_xyxy.tolist() == [[0, 0, 10.5, 10]] and fused.labels.tolist() == [2]
    assert fused.scores.tolist() == pytest.approx([0.4]) and fused.attribute_probs is None
    assert [own.tolist() for own in fused.members] == [[[0, 0], [1, 0]]]


def test_a_blind_model_lowers_the_confidence_and_moves_nothing():
    two = [saw((0, 0, 10, 10, 0.6, 0)), saw((0, 0, 12, 10, 0.3, 0))]
    three = fuse([two[0], NOTHING, two[1]], with_members=True)
    assert three.scores.tolist() == pytest.approx([0.3])  # 0.9 / 3, where two models give 0.45
    assert torch.equal(three.boxes_xyxy, fuse(two).boxes_xyxy)
    assert three.members[0].tolist() == [[0, 0], [2, 0]]


def test_classes_are_never_fused():
    fused = fuse([saw((0, 0, 10, 10, 0.6, 0)), saw((0, 0, 10, 10, 0.4, 1))])
    assert fused.labels.tolist() == [0, 1] and fused.scores.tolist() == pytest.approx([0.3, 0.2])


def test_weights():
    # 2 * 0.4 and 1 * 0.2: x2 = (0.8 * 10 + 0.2 * 12) / 1, confidence 1 / (2 + 1).
    pair = [saw((0, 0, 10, 10, 0.4, 0)), saw((0, 0, 12, 10, 0.2, 0))]
    for weights in ((2, 1), (20, 10), (0.02, 0.01)):  # only the ratio matters
        fused = fuse(pair, FusionSettings(weights=weights))
        assert fused.boxes_xyxy[0].tolist() == pytest.approx([0, 0, 10.4, 10])
        assert fused.scores.tolist() == pytest.approx([1 / 3])


def test_two_boxes_of_one_model_in_a_cluster_both_count():
    # The paper's sum over T; MMDetection's default would multiply by min(T, 3) / 3. It may exceed 1.
    model = saw((0, 0, 10, 10, 0.9, 0), (0, 0, 10, 11, 0.8, 0))
    fused = fuse([model, saw((0, 0, 10, 10, 0.7, 0))])
    assert fused.scores.tolist() == pytest.approx([2.4 / 2])


def test_a_models_own_duplicates_can_be_left_out():
    # The second box is a duplicate of the first (IoU 10 / 11), the third a cell of another class, the fourth elsewhere.
    model = saw((0, 0, 10, 10, 0.8, 0), (0, 0, 10, 11, 0.9, 0), (0, 0, 10, 10, 0.5, 1), (60, 0, 70, 9, 0.4, 0))
    for found in ([model, NOTHING], [NOTHING, model]):
        fused = fuse(found, FusionSettings(nms_thr=0.6), with_members=True)
        assert fused.scores.tolist() == pytest.approx([0.45, 0.25, 0.2]) and fused.labels.tolist() == [0, 1, 0]
        assert [own[0, 1].item() for own in fused.members] == [1, 2, 3]
    assert fuse([model, NOTHING], FusionSettings(nms_thr=0.95)).scores.tolist() == pytest.approx([0.85, 0.25, 0.2])
    two = fuse([model, saw((0, 0, 10, 11, 0.7, 0))], FusionSettings(nms_thr=0.6))  # models don't suppress each other
    assert float(two.scores[0]) == pytest.approx(0.8)


def test_the_threshold_is_exclusive_and_the_best_fit_wins():
    halves = [saw((0, 0, 10, 10, 0.9, 0)), saw((0, 0, 10, 5, 0.8, 0))]
    assert [len(fuse(halves, FusionSettings(iou_thr=iou_thr)).scores) for iou_thr in (0.5, 0.49)] == [2, 1]
    first = saw((0, 0, 10, 10, 0.9, 0), (0, 4, 10, 14, 0.8, 0))
    fused = fuse([first, saw((0, 3, 10, 13, 0.1, 0))], FusionSettings(iou_thr=0.5), with_members=True)
    assert sorted(own.tolist() for own in fused.members) == [[[0, 0]], [[0, 1], [1, 0]]]


def test_one_model_alone():
    lonely = saw((0, 0, 10, 10, 0.5, 0), (50, 0, 60, 10, 0.75, 1))
    fused = fuse([lonely])
    assert fused.boxes_xyxy.tolist() == [[50, 0, 60, 10], [0, 0, 10, 10]]  # the highest-scoring first
    assert fused.scores.tolist() == [0.75, 0.5] and fused.labels.tolist() == [1, 0]


@pytest.mark.parametrize('found', [[NOTHING], [NOTHING, NOTHING], [saw((3, 3, 3, 9, 0.9, 0), (0, 0, 9, 9, 0.0, 0))]])
def test_nothing(found, recwarn):
    for members in (False, True):
        fused = fuse(found, with_members=members)
        assert fused.boxes_xyxy.shape == (0, 4) and fused.scores.shape == fused.labels.shape == (0,)
        assert fused.labels.dtype == torch.int64 and fused.members == ()
    assert not recwarn


def test_members_count_what_was_left_out():
    flat_first = saw((3, 3, 3, 9, 0.9, 0), (0, 0, 10, 10, 0.5, 0), probs=[[[1, 0]], [[0, 1]]])
    fused = fuse([NOTHING, flat_first])
    assert fused.members[0].tolist() == [[1, 1]] and fused.attribute_probs.tolist() == [[[0, 1]]]


def test_no_detection_but_attributes():
    blind = Detected(*(getattr(NOTHING, key) for key in ('boxes_xyxy', 'scores', 'labels')), torch.zeros(0, 3, 2))
    assert fuse([blind, NOTHING]).attribute_probs.shape == (0, 3, 2)


def test_hopeless_detections_do_not_spoil_the_others():
    pair = [saw((0, 0, 10, 10, 0.0, 0), (0, 0, 10, 10, 0.5, 1)), saw((0, 0, 10, 10, 1e-40, 0), (0, 0, 10, 10, 0.5, 1))]
    fused = fuse(pair)  # MMDetection alone: NaN for two boxes of 0, and boxes at 0 where float32 underflows
    assert fused.boxes_xyxy.tolist() == [[0, 0, 10, 10]] and fused.labels.tolist() == [1]


def test_faint_detections_are_skipped_before_they_are_weighed():
    pair = [saw((0, 0, 10, 10, 0.3, 0)), saw((0, 0, 10, 10, 0.2, 0))]
    fused = fuse(pair, FusionSettings(skip_box_thr=0.25, weights=(1, 9)), with_members=True)
    assert fused.scores.tolist() == pytest.approx([0.03]) and fused.members[0].tolist() == [[0, 0]]


def test_attributes_by_hand():
    """Two attributes of 2 and 3 values; the third model knows neither, the second not the first."""
    unknown = [0, 0, 0]
    fused = fuse([saw((0, 0, 10, 10, 0.6, 0), probs=[[[0.9, 0.1, 0], [0.2, 0.2, 0.6]]]),
                  saw((0, 0, 10, 10, 0.3, 0), probs=[[unknown, [0.5, 0.5, 0]]]),
                  saw((0, 0, 10, 10, 0.9, 0))])
    second = [(2 * 0.2 + 0.5) / 3, (2 * 0.2 + 0.5) / 3, 2 * 0.6 / 3]
    assert fused.attribute_probs[0].numpy() == pytest.approx(np.array([[0.9, 0.1, 0], second]))
    assert fused.scores.tolist() == pytest.approx([0.6])
    assert len(fused.members[0]) == 3


def test_attributes_nobody_knows_stay_unknown():
    fused = fuse([saw((0, 0, 10, 10, 0.6, 0), probs=[[[0, 0]]]), saw((0, 0, 10, 10, 0.6, 0))])
    assert fused.attribute_probs.tolist() == [[[0, 0]]]


def test_weights_of_models_weigh_attributes_too():
    fused = fuse([saw((0, 0, 10, 10, 0.5, 0), probs=[[[1, 0]]]), saw((0, 0, 10, 10, 0.5, 0), probs=[[[0, 1]]])],
                 FusionSettings(weights=(3, 1)))
    assert fused.attribute_probs[0, 0].tolist() == pytest.approx([0.75, 0.25])


# Scores all different: of equal ones MMDetection takes any first.
@st.composite
def models(draw, attributes=False):
    n = draw(st.lists(st.integers(0, 6), min_size=1, max_size=4))
    scores = draw(st.lists(st.integers(1, 1000), min_size=sum(n), max_size=sum(n), unique=True))
    coordinate, side = st.integers(0, 40), st.integers(5, 30)
    found = []
    for count in n:
        cells, probs = [], []
        for _ in range(count):
            x, y, w, h = draw(coordinate), draw(coordinate), draw(side), draw(side)
            cells.append((x, y, x + w, y + h, scores.pop() / 1000, draw(st.integers(0, 1))))
            p = draw(st.integers(0, 4)) / 4
            probs.append([[p, 1 - p], [0, 0] if draw(st.booleans()) else [0.25, 0.75]])
        knows = attributes and draw(st.booleans())
        probs = np.array(probs).reshape(-1, 2, 2)
        found.append(saw(*cells, probs=probs if knows else None))
    return found


def iou(a, b):
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    shared = np.prod(np.maximum(sides, 0))
    return shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared)


def papers_rule(found, iou_thr, weights):
    """Clusters by the WBF paper's words in float64, boxes and confidences by Leukocyte's two formulas."""
    rows = sorted(((weights[m] * float(one.scores[r]), m, r) for m, one in enumerate(found)
                   for r in range(len(one.scores))), reverse=True)
    clusters = []

    def box(cluster):
        values = np.array([found[m].boxes_xyxy[r].numpy() for _, m, r in cluster])
        return np.average(values, axis=0, weights=[c for c, _, _ in cluster])

    for row in rows:
        label, own = found[row[1]].labels[row[2]], found[row[1]].boxes_xyxy[row[2]].numpy()
        fits = [(iou(box(cluster), own), -index) for index, cluster in enumerate(clusters)
                if found[cluster[0][1]].labels[cluster[0][2]] == label]
        best = max(fits, default=(0, 0))
        if best[0] > iou_thr:
            clusters[-best[1]].append(row)
        else:
            clusters.append([row])
    return [(box(cluster), sum(c for c, _, _ in cluster) / sum(weights), [[m, r] for _, m, r in cluster])
            for cluster in clusters]


@given(models(attributes=True), st.sampled_from([0.31, 0.553, 0.757]), st.booleans())
@settings(max_examples=60)
def test_the_papers_rule(found, iou_thr, weighted):
    weights = [1.0 + 0.37 * m if weighted else 1.0 for m in range(len(found))]
    fused = fuse(found, FusionSettings(iou_thr=iou_thr, weights=tuple(weights) if weighted else None), True)
    expected = {str(own): (box, score, own) for box, score, own in papers_rule(found, iou_thr, weights)}
    assert {str(own.tolist()) for own in fused.members} == set(expected)
    assert (fused.scores[:-1] >= fused.scores[1:]).all()
    for index, own in enumerate(fused.members):
        box, score, members = expected[str(own.tolist())]
        assert fused.boxes_xyxy[index].numpy() == pytest.approx(box, abs=1e-4)
        assert float(fused.scores[index]) == pytest.approx(score, rel=1e-5)
        assert all(found[m].labels[r] == fused.labels[index] for m, r in members)
        if fused.attribute_probs is not None:
            for a in range(2):
                votes = [(weights[m] * float(found[m].scores[r]), found[m].attribute_probs[r, a].numpy())
                         for m, r in members if found[m].attribute_probs is not None]
                votes = [(weight, probs) for weight, probs in votes if probs.any()]
                expected_probs = np.average([p for _, p in votes], axis=0, weights=[w for w, _ in votes]) \
                    if votes else np.zeros(2)
                assert fused.attribute_probs[index, a].numpy() == pytest.approx(expected_probs)


@given(models(attributes=True), st.randoms(use_true_random=False))
@settings(max_examples=30)
def test_the_order_of_models_does_not_matter(found, random):
    order = list(range(len(found)))
    random.shuffle(order)
    one, other = fuse(found), fuse([found[m] for m in order])
    assert torch.equal(one.boxes_xyxy, other.boxes_xyxy) and torch.equal(one.scores, other.scores)
    assert torch.equal(one.labels, other.labels)
    if one.attribute_probs is not None:
        assert torch.equal(one.attribute_probs, other.attribute_probs)


def test_the_order_may_matter_for_detections_with_equal_scores():
    """A chain of three: which neighbours meet first decides. Documented, and MMDetection's."""
    chain = [saw((0, 0, 10, 10, 0.5, 0)), saw((0, 2, 10, 12, 0.5, 0)), saw((0, 4, 10, 14, 0.5, 0))]
    fused = [fuse([chain[m] for m in order], FusionSettings(iou_thr=0.6)) for order in ([0, 1, 2], [2, 1, 0])]
    assert not torch.equal(fused[0].boxes_xyxy, fused[1].boxes_xyxy)


@given(models(), st.sampled_from([0.31, 0.55, 0.757]))
@settings(max_examples=30)
def test_equals_mmdetection_where_it_says_the_same(found, iou_thr):
    parts = [[list(getattr(one, key).tolist()) for one in found] for key in ('boxes_xyxy', 'scores', 'labels')]
    boxes, scores, labels = weighted_boxes_fusion(*parts, iou_thr=iou_thr, **COUNT_ALL)
    fused = fuse(found, FusionSettings(iou_thr=iou_thr), with_members=True)
    assert torch.equal(fused.boxes_xyxy, boxes.reshape(-1, 4)) and torch.equal(fused.scores, scores)
    assert fused.labels.tolist() == labels.tolist()
    default = weighted_boxes_fusion(*parts, iou_thr=iou_thr)[1]
    if all(len(own) <= len(found) for own in fused.members):  # then min(T, k) / k is 1
        assert default.tolist() == pytest.approx(scores.tolist())


def test_twice_and_inputs_stay():
    found = [saw((0, 0, 10, 10, 0.6, 0), probs=[[[0.9, 0.1]]]), saw((0, 0, 12, 10, 0.2, 0))]
    before = [one.boxes_xyxy.clone() for one in found]
    one, other = fuse(found), fuse(found)
    assert torch.equal(one.boxes_xyxy, other.boxes_xyxy) and torch.equal(one.attribute_probs, other.attribute_probs)
    assert all(torch.equal(a, b.boxes_xyxy) for a, b in zip(before, found))


@pytest.mark.parametrize('bad, message', [
    (lambda: fuse([]), 'no model'), (lambda: FusionSettings(iou_thr=1.5), 'iou_thr is 1.5'),
    (lambda: FusionSettings(skip_box_thr=-1), 'skip_box_thr is -1'),
    (lambda: FusionSettings(nms_thr=2), 'nms_thr is 2'),
    (lambda: FusionSettings(weights=(1, 0)), 'each must be above 0'),
    (lambda: fuse([NOTHING], FusionSettings(weights=(1, 2))), '2 weights for 1 models'),
    (lambda: saw((0, 0, 10, 10, 1.5, 0)), 'outside 0 to 1'), (lambda: saw((0, 0, 10, 10, float('nan'), 0)), 'outside'),
    (lambda: saw((9, 0, 1, 10, 0.5, 0)), 'ends before it begins'),
    (lambda: saw((0, 0, float('inf'), 10, 0.5, 0)), 'not finite'),
    (lambda: Detected(torch.zeros(2, 4), torch.zeros(1), torch.zeros(2)), 'expected (N, 4)'),
    (lambda: fuse([saw((0, 0, 1, 1, 0.5, 0), probs=[[[1, 0]]]), saw((0, 0, 1, 1, 0.5, 0), probs=[[[1, 0, 0]]])]),
     'other shapes|attributes of shapes')])
def test_bad_input(bad, message):
    with pytest.raises(UserError, match=message.replace('(', r'\(').replace(')', r'\)')):
        bad()
