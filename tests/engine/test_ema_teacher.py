"""The moving average as a teacher."""

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mmleuk.engine import EMATeacherHook, YOLOv5EMAHook
from mmleuk.errors import UserError
from mmleuk.models.detectors.teacher import Teacher


class Pupil(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.teacher = Teacher()

    def set_teacher(self, module):
        self.teacher = Teacher(module)


class Wrapper(nn.Module):
    def __init__(self):
        super().__init__()
        self.detector = Pupil()


def trained(model, hooks):
    runner = SimpleNamespace(model=model, hooks=hooks, iter=0, epoch=0, max_iters=10, max_epochs=1,
                             optim_wrapper=SimpleNamespace())
    for hook in hooks:
        hook.before_run(runner)
    for hook in hooks:
        hook.before_train(runner)
    return runner


@pytest.mark.parametrize('make', [Pupil, Wrapper])
def test_the_teacher_is_the_average_itself(make):
    model, average = make(), YOLOv5EMAHook(decay=0.5, tau=1)
    runner = trained(model, [average, EMATeacherHook()])
    pupil = getattr(model, 'detector', model)
    before = pupil.teacher.module.layer.weight.clone()
    assert torch.equal(before, pupil.layer.weight)
    for _ in range(2):  # the first update copies
        with torch.no_grad():
            pupil.layer.weight += 1
        average.after_train_iter(runner, 0)
    moved = pupil.teacher.module.layer.weight - before
    assert (moved > 1).all() and (moved < 2).all()


def test_neither_state_nor_training_mode_nor_copies_reach_the_teacher():
    model = Pupil()
    keys = set(model.state_dict())
    trained(model, [YOLOv5EMAHook(), EMATeacherHook()])
    assert set(model.state_dict()) == keys
    assert len(list(model.parameters())) == 2
    model.train()
    assert not model.teacher.module.training
    with pytest.raises(UserError, match='EMATeacherHook'):
        _ = copy.deepcopy(model).teacher.module


def test_it_says_what_is_missing():
    with pytest.raises(UserError, match='needs one EMAHook'):
        trained(Pupil(), [EMATeacherHook()])
    with pytest.raises(UserError, match='Linear takes no teacher'):
        trained(nn.Linear(1, 1), [YOLOv5EMAHook(), EMATeacherHook()])
