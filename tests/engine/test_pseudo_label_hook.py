from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub, MMLogger
from mmengine.structures import InstanceData
from torch import nn

from mmleuk.engine.pseudo_label_hook import (
    PseudoLabelHook,
    find_sparse_label_detector,
    judged_means,
    require_pseudo_label_hook,
    smallest_cell_area,
)
from mmleuk.errors import UserError
from mmleuk.models.dense_heads.yolov5_head import YOLOv5Head
from mmleuk.models.detectors.sparse_label_detector import Activity, SparseLabelDetector
from mmleuk.models.detectors.teacher import Teacher
from mmleuk.models.labellers import ThresholdLabeller


class Records:
    """A data set in memory: per image its size and boxes with their ignore flags."""

    def __init__(self, *images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def get_data_info(self, index):
        height, width, boxes = self.images[index]
        return dict(height=height, width=width,
                    instances=[dict(bbox=box, bbox_label=0, ignore_flag=flag) for box, flag in boxes])


def sla_det():
    """The attributes that the hook reads and sets, on the real class; building a network would add nothing here."""
    model = SparseLabelDetector.__new__(SparseLabelDetector)
    nn.Module.__init__(model)
    model.activity, model.last_judged, model.labeller = Activity(), None, ThresholdLabeller()
    model.pseudo_weight, model.loss_triplet, model.asks, model.teacher = 0.1, None, 'student', Teacher()
    model.detector = nn.Module()
    model.detector.bbox_head = YOLOv5Head(num_classes=2, in_channels=(2, 2, 2), image_size=320)
    return model


def runner(model, dataset=None, epoch=0):
    return SimpleNamespace(model=model, epoch=epoch, max_epochs=10, hooks=[],
                           train_dataloader=SimpleNamespace(dataset=dataset),
                           message_hub=MessageHub.get_instance('test_pseudo_label_hook'),
                           logger=MMLogger.get_instance('test_pseudo_label_hook'))


def warnings_of(hook, model):
    said = []
    trained = runner(model, RECORDS)
    trained.logger = SimpleNamespace(info=lambda text: None, warning=said.append)
    hook.before_train(trained)
    return said


def test_a_term_that_starts_after_the_last_epoch_is_warned_of():
    late = PseudoLabelHook(pseudo_epochs=(11, None), triplet_epochs=(12, 20))
    model = sla_det()
    said, = warnings_of(late, model)
    assert said.startswith('PseudoLabelHook: pseudo_epochs starts at epoch 11, after the last (10)')
    model.loss_triplet = nn.Identity()
    assert len(warnings_of(late, model)) == 2
    assert warnings_of(PseudoLabelHook(pseudo_epochs=(10, None), triplet_epochs=(1, 3)), model) == []
    model.pseudo_weight, model.loss_triplet = 0, None
    assert warnings_of(late, model) == []


def test_terms_that_nobody_would_wake_are_refused():
    model = nn.Sequential(sla_det())
    with pytest.raises(UserError, match="add default_hooks=dict\\(pseudo_labels=dict\\(type='mmleuk.PseudoLabelHook'"):
        require_pseudo_label_hook(runner(model))
    woken = runner(model)
    woken.hooks.append(PseudoLabelHook())
    require_pseudo_label_hook(woken)
    model[0].pseudo_weight = 0
    require_pseudo_label_hook(runner(model))
    require_pseudo_label_hook(runner(nn.Identity()))


CRITERIA = ThresholdLabeller.criteria


def judged(*outcomes, score=0.98, bits=0.1):
    """One image's predictions with these outcomes."""
    count = len(outcomes)
    return InstanceData(criterion=torch.tensor([CRITERIA.index(name) for name in outcomes], dtype=torch.long),
                        scores=torch.full((count,), score), entropy=torch.full((count,), bits))


RECORDS = Records((640, 640, [([0, 0, 40, 20], 0), ([0, 0, 2, 2], 1)]), (160, 320, [([5, 5, 25, 20], 0)]), (64, 64, []))


def test_smallest_area_by_hand():
    # 40 x 20 at half size is 200; 20 x 15 of an image that is 320 wide already is 300; the crowd of 4 doesn't count
    assert smallest_cell_area(RECORDS, 320) == pytest.approx(200)
    wrapped = SimpleNamespace(dataset=SimpleNamespace(dataset=RECORDS))
    assert smallest_cell_area(wrapped, 640) == pytest.approx(800)


def test_smallest_area_needs_a_cell():
    with pytest.raises(UserError, match='no labelled cell'):
        smallest_cell_area(Records((64, 64, [([0, 0, 2, 2], 1)])), 320)


def test_area_is_measured_before_training():
    model = sla_det()
    PseudoLabelHook().before_train(runner(model, RECORDS))
    assert model.labeller.min_area == pytest.approx(200)


def test_a_missing_teacher_is_noticed_before_the_first_epoch():
    model = sla_det()
    model.asks = 'teacher'
    hook = PseudoLabelHook(pseudo_epochs=(9, None))
    with pytest.raises(UserError, match='EMATeacherHook'):
        hook.before_train_epoch(runner(model))
    model.teacher = Teacher(nn.Linear(1, 1))
    hook.before_train_epoch(runner(model))
    assert not model.activity.pseudo


@pytest.mark.parametrize(('epochs', 'expected'), [
    ((1, None), [1, 1, 1, 1]), ((2, 3), [0, 1, 1, 0]), ((4, 4), [0, 0, 0, 1]), ((9, None), [0, 0, 0, 0])])
def test_schedule(epochs, expected):
    for name, other in (('pseudo', 'triplet'), ('triplet', 'pseudo')):
        model = sla_det()
        hook = PseudoLabelHook(**{f'{name}_epochs': epochs, f'{other}_epochs': (9, None)})
        active = []
        for epoch in range(4):
            hook.before_train_epoch(runner(model, epoch=epoch))
            active.append(getattr(model.activity, name))
            assert not getattr(model.activity, other)
        assert active == expected


@pytest.mark.parametrize('epochs', [(0, None), (1,), (None, 3), (5, 3), (1, '4'), (1.5, None)])
def test_bad_epochs(epochs):
    with pytest.raises(UserError, match='triplet_epochs is .first, last. counted from 1'):
        PseudoLabelHook(triplet_epochs=epochs)


def test_log_adds_up_over_batches():
    model, hook = sla_det(), PseudoLabelHook()
    run = runner(model, RECORDS)
    hook.before_train_epoch(run)
    hook.after_train_iter(run, 0)  # nothing was judged yet: nothing to log
    assert not hook._sums
    model.last_judged = [judged('kept', 'unsure', 'unsure', score=0.96), judged('kept', 'unsure', 'confidence')]
    hook.after_train_iter(run, 0)
    model.last_judged = [judged('kept', *4 * ['area'], score=0.99, bits=0.0), judged('entropy', 'entropy')]
    hook.after_train_iter(run, 1)
    scalars = {name: run.message_hub.get_scalar(f'train/pseudo/{name}').current() for name in (
        'kept_per_image', 'unsure_per_image', 'confidence_per_image', 'area_per_image', 'entropy_per_image',
        'mean_confidence', 'mean_entropy')}
    assert scalars == pytest.approx(dict(
        kept_per_image=3 / 4, unsure_per_image=3 / 4, confidence_per_image=1 / 4, area_per_image=1,
        entropy_per_image=2 / 4, mean_confidence=(0.96 + 0.98 + 0.99) / 3, mean_entropy=0.2 / 3))
    hook.after_train_epoch(run)
    hook.before_train_epoch(run)
    assert not hook._sums  # an epoch starts at zero


def test_means_without_labels_found():
    sums = dict(dict.fromkeys(CRITERIA, 0), images=2, score=0., entropy_of_kept=0.)
    assert set(judged_means(sums, CRITERIA).values()) == {0}


def test_finds_the_detector_inside_wrappers():
    model = sla_det()
    outer = nn.Module()
    outer.detector = model
    assert find_sparse_label_detector(outer) is model and find_sparse_label_detector(model) is model
    with pytest.raises(UserError, match='needs a mmleuk.SparseLabelDetector .*, the model is a Linear'):
        find_sparse_label_detector(nn.Linear(1, 1))


def test_the_size_of_training_images_is_the_heads_or_said():
    """The smallest cell is 40 x 20 pixels at 640: 200 at 320, 50 at 160."""
    model = sla_det()
    PseudoLabelHook(image_size=160).before_train(runner(model, RECORDS))
    assert model.labeller.min_area == pytest.approx(50)
    model.detector.bbox_head = nn.Identity()
    with pytest.raises(UserError, match='pseudo_labels.image_size'):
        PseudoLabelHook().before_train(runner(model, RECORDS))
