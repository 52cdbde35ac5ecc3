"""Scores of masks: hand-worked, beside scikit-learn's, per group, and for parts that don't occur."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, f1_score, jaccard_score, precision_score, recall_score

from mmleuk.errors import UserError
from mmleuk.evaluation.part_metric import PartMetric
from mmleuk.evaluation.part_scores import count_pixels, part_scores


def test_by_hand():
    truth = np.array([[0, 0, 1, 1], [2, 2, 255, 255]])
    found = np.array([[0, 1, 1, 1], [2, 0, 2, 0]])
    counts = count_pixels(truth, found, 3)
    assert counts.tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 1]]
    scores = part_scores(counts)
    assert scores.iou == pytest.approx([1 / 3, 2 / 3, 1 / 2])
    assert scores.f1 == pytest.approx([1 / 2, 4 / 5, 2 / 3])
    assert scores.precision == pytest.approx([1 / 2, 2 / 3, 1])
    assert scores.recall == pytest.approx([1 / 2, 1, 1 / 2])
    assert scores.pixels.tolist() == [2, 2, 2]


@given(st.integers(0, 2 ** 31 - 1), st.integers(2, 6))
@settings(max_examples=25, deadline=None)
def test_equal_to_scikit_learn(seed, num_parts):
    rng = np.random.default_rng(seed)
    truth, found = rng.integers(0, num_parts, (2, 9, 11))
    labels, pair = list(range(num_parts)), (truth.ravel(), found.ravel())
    counts = count_pixels(truth, found, num_parts)
    assert (counts == confusion_matrix(*pair, labels=labels)).all()
    scores = part_scores(counts)
    for mine, theirs in ((scores.iou, jaccard_score), (scores.f1, f1_score), (scores.precision, precision_score),
                         (scores.recall, recall_score)):
        assert np.nan_to_num(mine) == pytest.approx(theirs(*pair, labels=labels, average=None, zero_division=0))


def test_parts_that_do_not_occur_have_no_score():
    scores = part_scores(count_pixels(np.zeros((2, 2), int), np.zeros((2, 2), int), 3))
    assert scores.iou[0] == 1 and np.isnan(scores.iou[1:]).all() and np.isnan(scores.f1[1:]).all()
    unknown = part_scores(count_pixels(np.full((2, 2), 255), np.zeros((2, 2), int), 3))
    assert np.isnan(unknown.iou).all() and unknown.pixels.sum() == 0


def sample(name, truth, found):
    return dict(img_path=name, gt_sem_seg=dict(data=torch.tensor([truth])),
                pred_sem_seg=dict(data=torch.tensor([found])))


def metric(**options):
    made = PartMetric(**options)
    made.dataset_meta = dict(classes=('other', 'cytoplasm', 'nucleus'))
    return made


def test_the_mean_leaves_background_out_and_groups_stand_alone():
    made = metric(groups=r'^(d[12])_')
    made.process({}, [sample('data/d1_a.png', [[0, 1, 2]], [[0, 1, 2]]),
                      sample('data/d2_b.png', [[0, 1, 2]], [[1, 1, 1]]),
                      sample('data/other.png', [[0, 0, 0]], [[0, 0, 0]])])
    scores = made.evaluate(3)
    assert scores['parts/d1/mIoU'] == 1 and scores['parts/d1/F1_nucleus'] == 1
    assert scores['parts/d2/IoU_cytoplasm'] == pytest.approx(1 / 3) and scores['parts/d2/IoU_nucleus'] == 0
    assert scores['parts/d2/mIoU'] == pytest.approx(1 / 6)
    assert scores['parts/IoU_cytoplasm'] == pytest.approx(2 / 4) and scores['parts/IoU_other'] == pytest.approx(4 / 5)
    assert scores['parts/mIoU'] == pytest.approx((2 / 4 + 1 / 2) / 2)
    assert not any('other/' in key for key in scores)


def test_no_part_at_all():
    made = metric()
    made.process({}, [sample('a.png', [[0, 0]], [[0, 0]])])
    scores = made.evaluate(1)
    assert math.isnan(scores['parts/mIoU']) and scores['parts/IoU_other'] == 1


@pytest.mark.parametrize('groups', ['(', 'd1'])
def test_bad_groups(groups):
    with pytest.raises(UserError, match='PartMetric: groups='):
        PartMetric(groups=groups)


def test_samples_without_masks_are_named():
    with pytest.raises(UserError, match='a.png: has no true or no predicted mask'):
        metric().process({}, [dict(img_path='a.png')])
