"""Rare types count as much as frequent ones: the weights by hand, and in the head's loss."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.structures import InstanceData
from test_yolov5_loss import CELLS, head, outputs
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot

from mmleuk.errors import UserError
from mmleuk.models.task_modules.class_balance import ClassBalance
from mmleuk.models.task_modules.yolov5_assigner import BatchCells


def labels(*counts):
    """Labels of a batch with this many predictions of each class."""
    return torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))


def test_weights_by_hand():
    """Six, three and one of ten: each class weighs a third of ten together; with 0.5 in proportion to 1 / sqrt."""
    assert ClassBalance(3)(labels(6, 3, 1)).tolist() == pytest.approx([10 / 18, 10 / 9, 10 / 3])
    halved = ClassBalance(3, exponent=0.5)(labels(4, 1, 0))
    assert halved.tolist() == pytest.approx([0.5 * 5 / 3, 5 / 3, 5 / 3])
    assert ClassBalance(3, exponent=0.0)(labels(6, 3, 1)).tolist() == [1, 1, 1]


@given(st.lists(st.integers(0, 50), min_size=2, max_size=6), st.floats(0, 1))
def test_the_mean_over_predictions_is_one(counts, exponent):
    weights = ClassBalance(len(counts), exponent)(labels(*counts))
    assert (weights >= 0).all() and weights.isfinite().all()
    assert (weights * torch.tensor(counts)).sum().item() == pytest.approx(sum(counts), rel=1e-4)


def test_without_labels_all_weigh_the_same():
    assert ClassBalance(3)(labels(0, 0, 0)).tolist() == [1, 1, 1]


def test_old_batches_fade_and_evaluation_counts_nothing():
    balance = ClassBalance(2, decay=0.5)
    balance(labels(4, 0))
    weights = balance(labels(0, 2))
    assert balance.counts.tolist() == [2, 2] and weights.tolist() == [1, 1]
    assert balance.eval()(labels(9, 0)).tolist() == [1, 1] and balance.counts.tolist() == [2, 2]
    again = ClassBalance(2)
    again.load_state_dict(balance.state_dict())
    assert torch.equal(again.counts, balance.counts)


@pytest.mark.parametrize('options', [dict(exponent=1.5), dict(exponent=-0.1), dict(decay=1.0)])
def test_bad_arguments(options):
    with pytest.raises(UserError, match='ClassBalance needs exponent in'):
        ClassBalance(3, **options)


def test_the_class_loss_is_weighed_and_nothing_else():
    """By hand on one level: the mean of each prediction's loss times the weight of its class."""
    cells = [InstanceData(bboxes=found.bboxes, labels=torch.zeros_like(found.labels)) for found in CELLS]
    cells[0].labels[1] = 2                                     # three cells of class 0, one of class 2
    plain, balanced = (head(class_balance=exponent).train() for exponent in (0.0, 1.0))
    before, after = (model.loss_by_feat(outputs(), cells, [{}, {}]) for model in (plain, balanced))
    assert before['loss_bbox'] == after['loss_bbox'] and before['loss_obj'] == after['loss_obj']
    logits = plain.per_anchor(outputs())
    assigned = plain.assign(BatchCells.from_instances(cells), logits)
    number = torch.bincount(torch.cat([level.label for level in assigned]), minlength=3)
    weight = number.sum() / 2 / number                         # of two classes, each has half
    expected = 0.0
    for level, found in zip(logits, assigned):
        raw = level[found.image, found.anchor, found.row, found.column, 5:]
        each = binary_cross_entropy_with_logits(
            raw, one_hot(found.label, 3).float(), reduction='none').mean(1)
        expected += (each * weight[found.label]).mean() if len(each) else 0.0
    assert after['loss_cls'].item() == pytest.approx(expected.item() * balanced.gain_class * 2, rel=1e-5)
    assert after['loss_cls'].item() != pytest.approx(before['loss_cls'].item(), rel=1e-3)


def test_a_head_without_it_has_no_counts():
    """Checkpoints of plain heads stay as they are."""
    assert not any('balance' in key for key in head().state_dict())
    assert 'balance.counts' in head(class_balance=1.0).state_dict()
