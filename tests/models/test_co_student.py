import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from mmleuk.errors import UserError

CONFIG = Path(__file__).parents[2] / 'configs' / '_base_' / 'models' / 'yolov5n.py'
SIZE = 64
CELL, NEW, NEWER = [5., 5., 35., 40.], [40., 40., 60., 60.], [40., 40., 60., 58.]


def build(**scores):
    init_default_scope('mmdet')
    config = Config.fromfile(CONFIG).model
    config.bbox_head.update(num_classes=3, image_size=SIZE)
    torch.manual_seed(0)
    model = MODELS.build(dict(type='mmleuk.CoStudent', detector=config,
                              labeller=dict(type='mmleuk.TeacherMergeLabeller', **scores)))
    model.activity.pseudo = True
    return model.train()


def count(model):
    return model.labeller.count(model.last_judged)


def instances(boxes=(), **fields):
    return InstanceData(bboxes=torch.tensor(boxes).view(-1, 4), labels=torch.zeros(len(boxes), dtype=torch.long),
                        **fields)


def batch(*boxes):
    torch.manual_seed(1)
    images = torch.rand(len(boxes), 3, SIZE, SIZE)
    samples = [DetDataSample(metainfo=dict(img_shape=(SIZE, SIZE)), gt_instances=instances(b),
                             ignored_instances=instances()) for b in boxes]
    return dict(original=images, augmented=1 - images), dict(original=samples, augmented=copy.deepcopy(samples))


def believe(head, *per_image):
    """Detections of each image of the head's batch, as (box, score)."""
    def predict_by_feat(*outputs, batch_img_metas, cfg, rescale):
        assert len(batch_img_metas) == len(per_image) == len(outputs[0][0])
        head.asked = cfg.score_thr
        return [instances([box for box, _ in found], scores=torch.tensor([score for _, score in found]))
                for found in per_image]
    head.predict_by_feat = predict_by_feat


def with_teacher(model):
    teacher = copy.deepcopy(model)
    model.set_teacher(teacher)
    return teacher


def find_nothing(model, images):
    believe(with_teacher(model).detector.bbox_head, *[[]] * images)
    believe(model.detector.bbox_head, *[[]] * images * 2)


def seen_labels(model):
    calls, original = [], model.detector.bbox_head.loss_by_feat

    def loss_by_feat(*args, **kwargs):
        calls.append([i.bboxes.tolist() for i in args[-3]])
        return original(*args, **kwargs)
    model.detector.bbox_head.loss_by_feat = loss_by_feat
    return calls


def test_the_teacher_is_merged_into_both_views_before_they_swap():
    model = build()
    teacher = with_teacher(model)
    believe(teacher.detector.bbox_head, [(NEWER, 0.8), (CELL, 0.9)])
    believe(model.detector.bbox_head, [(NEW, 0.7)], [(NEW, 0.9)])  # original, augmented
    calls = seen_labels(model)
    model.loss(*batch([CELL]))
    assert calls == [[[CELL, NEW]], [[CELL, NEWER]]]  # the augmented view was more confident than the teacher
    assert (model.detector.bbox_head.asked, teacher.detector.bbox_head.asked) == (0.5, 0.6)
    assert count(model) == dict(labelled=2, kept=2)


def test_the_teacher_sees_the_original_in_evaluation_mode_and_gets_no_gradient():
    model = build(teacher_score=1e-5)
    teacher = with_teacher(model)
    views, samples = batch([CELL], [NEW])
    seen = []
    teacher.detector.backbone.register_forward_hook(lambda module, inputs, out: seen.append(
        (module.training, torch.is_grad_enabled(), torch.equal(inputs[0], views['original']))))
    before = copy.deepcopy(teacher.state_dict())
    sum(model.loss(views, samples).values()).backward()
    assert seen == [(False, False, True)] and count(model)['kept'] > 0
    assert all(p.grad is None for p in teacher.parameters())
    assert all(torch.equal(value, before[key]) for key, value in teacher.state_dict().items())
    assert model.detector.backbone.stem.conv.weight.grad.abs().sum() > 0


def test_state_and_copies_hold_no_teacher():
    model = build()
    keys = set(model.state_dict())
    with_teacher(model)
    assert set(model.state_dict()) == keys and not any('teacher' in key for key in keys)
    assert len(list(model.parameters())) == len(list(model.detector.parameters()))
    with pytest.raises(UserError, match='EMATeacherHook'):
        copy.deepcopy(model).loss(*batch([CELL]))


def test_before_mining_starts_nobody_needs_a_teacher():
    model = build()
    model.activity.pseudo = False
    assert torch.isfinite(sum(model.loss(*batch([CELL])).values()))


def test_images_without_labels_are_left_out():
    model = build()
    find_nothing(model, 2)
    views, samples = batch([CELL], [])
    calls = seen_labels(model)
    losses = model.loss(views, samples)
    assert calls == [[[CELL]], [[CELL]]] and {key.partition('_')[0] for key in losses} == {'original', 'augmented'}


def test_a_view_without_any_label_is_zero_with_a_gradient_path():
    model = build()
    find_nothing(model, 2)
    losses = model.loss(*batch([], []))
    total = sum(losses.values())
    total.backward()
    assert total == 0 and all('loss' in key for key in losses)
    assert (model.detector.backbone.stem.conv.weight.grad == 0).all()


def test_nothing_to_learn_is_zero_even_where_the_network_gives_no_number():
    """A weight that isn't finite spoils no other process's step: nothing is multiplied by 0."""
    model = build()
    find_nothing(model, 1)
    torch.nn.init.constant_(model.detector.bbox_head.convs[0].bias, float('nan'))
    losses = model.loss(*batch([]))
    assert all(value == 0 for value in losses.values()) and len(losses) == 6
    sum(losses.values()).backward()
    assert all((p.grad == 0).all() for p in model.parameters())


def test_twice_is_the_same():
    model = build(teacher_score=1e-5, min_score=1e-5)
    with_teacher(model)
    views, samples = batch([CELL], [])
    first, second = model.loss(views, samples), model.loss(views, samples)
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


SHIFT = np.array([[1., 0., -20.], [0., 1., 0.], [0., 0., 1.]])


def seen_as(matrix):
    return dict(homography_matrix=matrix, img_shape=(SIZE, SIZE))


def test_the_teacher_sees_the_plain_image_and_labels_move_into_each_view():
    """The plain image is the file; the augmented view lies 20 px to the left."""
    model = build()
    teacher = with_teacher(model)
    views, samples = batch([CELL])
    views['plain'] = torch.full_like(views['original'], 0.5)
    samples['plain'] = copy.deepcopy(samples['original'])
    for view, matrix in dict(plain=np.eye(3), original=np.eye(3), augmented=SHIFT).items():
        samples[view][0].set_metainfo(seen_as(matrix))
    seen = []
    teacher.detector.backbone.register_forward_hook(lambda module, inputs, out: seen.append(
        torch.equal(inputs[0], views['plain'])))
    believe(teacher.detector.bbox_head, [(NEW, 0.8)])
    believe(model.detector.bbox_head, [], [([0., 44., 20., 62.], 0.7)])  # on the augmented view, 20 px to the left
    calls = seen_labels(model)
    model.loss(views, samples)
    assert seen == [True]
    left = [20., 40., 40., 60.]
    # The original view learns what the other found, moved to the right; IoU below 0.5, so the teacher's is added.
    assert calls == [[[CELL, [20., 44., 40., 62.], NEW]], [[CELL, left]]]


def test_the_third_view_is_allowed_but_not_alone():
    preprocessor = MODELS.build(dict(type='mmleuk.TwoViewsDataPreprocessor',
                                     data_preprocessor=dict(type='DetDataPreprocessor')))
    views, samples = batch([CELL])
    data = dict(inputs={view: [image.clone() for image in images] for view, images in views.items()},
                data_samples=dict(samples))
    for key in data.values():
        key['plain'] = copy.deepcopy(key['original'])
    assert set(preprocessor(data, True)['inputs']) == {'original', 'augmented', 'plain'}
    with pytest.raises(UserError, match='two views'):
        preprocessor(dict(inputs=dict(plain=views['original']), data_samples=dict(plain=[])), True)
