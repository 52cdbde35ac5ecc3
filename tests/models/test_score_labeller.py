import pytest
import torch
from mmengine.structures import InstanceData

from mmleuk.errors import UserError
from mmleuk.models.labellers import ScoreLabeller
from mmleuk.registry import TASK_UTILS

NOTHING = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))


def found(*scores, labels=None):
    count = len(scores)
    return InstanceData(bboxes=torch.rand(count, 4), scores=torch.tensor(scores), source=torch.ones(count),
                        labels=torch.tensor(labels or [0] * count, dtype=torch.long))


def select(labeller, predictions):
    return labeller.select(predictions, NOTHING, torch.zeros(0, 4))


def test_scores_decide():
    answer = select(ScoreLabeller(min_score=0.5), found(0.9, 0.5, 0.4))
    assert answer.criterion.tolist() == [1, 1, 0] and answer.weight.tolist() == [1, 1, 0]
    assert not answer.ignored.any()


def test_unsure_ones_are_set_aside():
    labeller = ScoreLabeller(min_score=0.5, unsure_score=0.2)
    assert labeller.request('teacher').min_score == 0.2 and labeller.sets_aside
    answer = select(labeller, found(0.9, 0.3))
    assert answer.ignored.tolist() == [False, True]
    assert labeller.count([answer]) == dict(unsure=1, kept=1)


def test_a_score_per_class():
    labeller = ScoreLabeller(min_score=[0.8, 0.3])
    assert labeller.request('student').min_score == 0.3
    assert select(labeller, found(0.7, 0.7, 0.2, labels=[0, 1, 1])).criterion.tolist() == [0, 1, 0]


def test_nothing_found():
    assert len(select(ScoreLabeller(min_score=0.5), found())) == 0


@pytest.mark.parametrize('options', [dict(min_score=0.0), dict(min_score=0.3, unsure_score=0.4),
                                     dict(min_score=[0.5, 1.0])])
def test_scores_out_of_order(options):
    with pytest.raises(UserError, match='0 < unsure_score <= min_score < 1'):
        TASK_UTILS.build(dict(type='mmleuk.ScoreLabeller', **options))
