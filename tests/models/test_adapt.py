"""ConfMix, DACA and StainTeacher: what each learns of the target, and that nothing reads the target's labels."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from torch import nn

from mmleuk.errors import UserError
from mmleuk.models.adapt import ConfMix, keep_statistics
from mmleuk.models.adapt.conf_mix import as_labels, crowds_without, strictness

ROOT = Path(__file__).parents[2]
SIZE = 64
KINDS = ('ConfMix', 'DACA', 'StainTeacher')
CELL, NEW = [4., 4., 28., 30.], [36., 38., 60., 62.]
WHOLE = torch.tensor([[0., 0., SIZE, SIZE]])


def detector(name='yolov5n', **head):
    config = Config.fromfile(str(ROOT / f'configs/_base_/models/{name}.py')).model
    config.bbox_head.update(num_classes=3, **head)
    return config


def yolov5(**head):
    return detector(image_size=SIZE, **head)


def build(kind, config=None, **options):
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = MODELS.build(dict(type=f'mmleuk.{kind}', detector=config or yolov5(), **options))
    model.activity.pseudo = True
    if model.learns_from_teacher:
        model.set_teacher(copy.deepcopy(model))
    return model.train()


def cells(*boxes, label=1, regions=WHOLE):
    return InstanceData(metainfo=dict(annotated_regions=regions), bboxes=torch.tensor(boxes).view(-1, 4),
                        labels=torch.full((len(boxes),), label, dtype=torch.long))


def batch(target_labels=(), regions=WHOLE, strong=False, size=SIZE):
    torch.manual_seed(1)
    images = dict(source=torch.rand(2, 3, size, size), target=torch.rand(2, 3, size, size))
    if strong:
        images['target_strong'] = images['target'] * 0.9
    shape = (size, size)
    meta = dict(img_shape=shape, pad_shape=shape, ori_shape=shape, batch_input_shape=shape, scale_factor=(1.0, 1.0),
                annotated_regions=regions)
    samples = {}
    for name in images:
        boxes = [CELL] if name == 'source' else target_labels
        samples[name] = [DetDataSample(metainfo=meta, gt_instances=cells(*boxes, regions=regions),
                                       ignored_instances=cells()) for _ in range(2)]
    return images, samples


def believe(model, *boxes, score=0.9):
    """The model finds these boxes, of class 0, in every image; returns the requests."""
    asked = []
    asking = model.teacher.module if model.learns_from_teacher else model

    def predict(outputs, metas, request):
        asked.append(request)
        return [InstanceData(bboxes=torch.tensor(boxes).view(-1, 4), labels=torch.zeros(len(boxes), dtype=torch.long),
                             scores=torch.full((len(boxes),), score)) for _ in metas]
    asking.adapter.predict = predict
    return asked


def learnt(model):
    """What the detector's loss gets, call by call: images, and per image boxes and labels."""
    calls, adapter = [], model.adapter
    forward, loss, images = adapter.forward, adapter.loss, []

    def forwards(batch_images):
        images.append(batch_images)
        return forward(batch_images)

    def losses(outputs, labels, metas, ignored, dense_targets=None):
        calls.append(dict(images=images[-1], labels=labels, metas=metas, ignored=ignored))
        return loss(outputs, labels, metas, ignored, dense_targets)
    adapter.forward, adapter.loss = forwards, losses
    return calls


def total(losses):
    return sum(value.sum() if isinstance(value, torch.Tensor) else sum(value) for name, value in losses.items()
               if 'loss' in name)


@pytest.mark.parametrize('kind', KINDS)
def test_the_targets_labels_are_never_read(kind):
    """Losses and gradients are the same to the last bit, whatever stands in the target's samples, or if nothing."""
    results = []
    for labels in ((), ([NEW]), None):
        model = build(kind)
        believe(model, NEW)
        images, samples = batch(labels or ())
        if labels is None:
            for sample in samples['target']:
                del sample.gt_instances, sample.ignored_instances
        torch.manual_seed(5)
        np.random.seed(5)
        losses = model.loss(images, samples)
        total(losses).backward()
        results.append([total(losses).detach(), *(p.grad for p in model.parameters() if p.grad is not None)])
    for other in results[1:]:
        assert all(torch.equal(one, two) for one, two in zip(results[0], other, strict=True))


@pytest.mark.parametrize('kind', KINDS)
def test_until_it_is_switched_on_the_loss_is_the_detectors(kind):
    model = build(kind)
    model.activity.pseudo = False
    images, samples = batch()
    losses = model.loss(images, samples)
    plain = model.detector.loss(images['source'], samples['source'])
    assert {name: value.item() for name, value in losses.items()} == pytest.approx(
        {name: value.item() for name, value in plain.items()}, rel=1e-5)
    assert model.last_judged is None


@pytest.mark.parametrize('kind', KINDS)
def test_nothing_found(kind):
    """Every loss is finite, and every parameter gets a gradient."""
    model = build(kind)
    believe(model)
    losses = model.loss(*batch())
    assert torch.isfinite(total(losses))
    total(losses).backward()
    assert all(p.grad is not None for p in model.parameters())
    assert {'target_loss_bbox', 'target_loss_obj', 'target_loss_cls'} <= set(losses)
    if kind != 'StainTeacher':  # to it, a target without cells is background
        assert all(value == 0 for name, value in losses.items() if name.startswith('target_'))


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('name', ['fcos_r18', 'faster-rcnn_r18'])
def test_other_detectors(kind, name):
    config = Config.fromfile(str(ROOT / f'configs/_base_/models/{name}.py')).model
    for part in (config.get('bbox_head'), config.get('roi_head', {}).get('bbox_head')):
        if part:
            part.num_classes = 3
    model = build(kind, config, labeller=dict(type='mmleuk.ScoreLabeller', min_score=0.3))
    believe(model, CELL, NEW)
    images, samples = batch(size=128)
    losses = model.loss(images, samples)
    assert torch.isfinite(total(losses)) and any(name.startswith('target_') for name in losses)


@pytest.mark.parametrize('config', ['fcos/fcos_r18_sparse-regions_txl-pbc', 'sla_det/yolov5n_sla_txl-pbc_lr',
                                    'faster_rcnn/faster-rcnn_r18_sparse-regions_txl-pbc'])
def test_the_teachers_target_is_known_everywhere(config):
    """Also to heads and samplers that read the regions from the labels: what the teacher doesn't find is background."""
    model = build('StainTeacher', Config.fromfile(str(ROOT / f'configs/{config}.py')).model)
    believe(model)
    losses = model.loss(*batch(size=128, strong=True))
    assert total({name: value for name, value in losses.items() if name.startswith('target_')}) > 0


@pytest.mark.parametrize('kind', KINDS)
def test_sparse_regions_of_the_source(kind):
    """Background outside the source's region isn't learnt: changing the loss there needs a label from the target."""
    regions = torch.tensor([[0., 0., 32., 32.]])
    model = build(kind, yolov5(truth='regions'))
    believe(model, NEW)
    calls = learnt(model)
    total(model.loss(*batch(regions=regions))).backward()
    source, target = calls
    assert torch.equal(source['metas'][0]['annotated_regions'], regions)
    known = target['metas'][0]['annotated_regions']
    # the lower right quarter is the target's: known by its detections; and what is known of the source
    wanted = torch.cat([regions, torch.tensor([[32., 32., 64., 64.]])]) if kind == 'ConfMix' else WHOLE
    assert torch.equal(known, wanted)


def test_attributes_are_refused_when_the_model_is_built():
    init_default_scope('mmdet')
    with pytest.raises(UserError, match='AttriDet cannot hold a DACA'):
        MODELS.build(dict(type='mmleuk.AttriDet', detector=dict(type='mmleuk.DACA', detector=yolov5()),
                          attri_head=dict(type='mmleuk.AttriHead', attributes='leukemia'),
                          feature_layers=('backbone.stage1', 'backbone.stage2')))


# ---------------------------------------------------------------- ConfMix

def test_ignored_cells_end_at_the_pasted_quarter():
    """The quarter is the target's: x and y from 32 on. One crowd reaches into it, one is inside, one is elsewhere."""
    crowds = InstanceData(bboxes=torch.tensor([[20., 40, 50, 60], [40, 40, 60, 60], [0, 0, 9, 9]]),
                          labels=torch.tensor([0, 1, 2]))
    left = crowds_without(crowds, 3, (64, 64))
    assert left.bboxes.tolist() == [[20, 40, 32, 60], [0, 0, 9, 9]] and left.labels.tolist() == [0, 2]
    labels = as_labels(InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0).long()), {}, left)
    assert torch.equal(labels.ignored_boxes, left.bboxes)
    assert crowds_without(None, 3, (64, 64)) is None


def test_conf_mix_learns_the_pasted_quarter():
    model = build('ConfMix')
    asked = believe(model, CELL, NEW, score=0.9)
    calls = learnt(model)
    images, samples = batch()
    model.loss(images, samples)
    assert [request.min_score for request in asked] == [0.25, 0.25]
    mixed = calls[1]
    # Both quarters have one cell of 0.9: the first is taken, and the other cell comes from the source's detections.
    assert torch.equal(mixed['images'][:, :, :32, :32], images['target'][:, :, :32, :32])
    assert torch.equal(mixed['images'][:, :, 32:], images['source'][:, :, 32:])
    assert mixed['labels'][0].bboxes.tolist() == [NEW, CELL] and mixed['labels'][0].labels.tolist() == [0, 0]


@pytest.mark.parametrize(('score', 'gamma'), [(0.9, 1.0), (0.4, 0.0)])
def test_conf_mix_weighs_by_the_share_of_sure_labels(score, gamma):
    model = build('ConfMix')
    believe(model, NEW, score=score)
    calls = learnt(model)
    losses = model.loss(*batch())
    mixed = calls[1]
    again = model.adapter.loss(model.adapter.forward(mixed['images']), mixed['labels'], mixed['metas'],
                               mixed['ignored'])
    assert losses['target_loss_obj'].item() == pytest.approx(gamma * again['loss_obj'].item(), rel=1e-4)


def test_conf_mix_grows_stricter():
    """delta of the running training reaches the head while it predicts, and is 0 elsewhere."""
    model = build('ConfMix', yolov5(type='mmleuk.GaussianYOLOv5Head'))
    head, seen, predict = model.detector.bbox_head, [], model.adapter.predict

    def spied(*args):
        seen.append(head.uncertainty_weight)
        return predict(*args)
    model.adapter.predict = spied
    hub = MessageHub.get_current_instance()
    hub.update_info('iter', 50)
    hub.update_info('max_iters', 100)
    try:
        model.loss(*batch())
    finally:
        hub.update_info('iter', 0)
    assert seen == [pytest.approx(strictness(0.5))] * 2 and head.uncertainty_weight == 0


def test_a_plain_checkpoint_fits_but_for_the_uncertainty():
    model = build('ConfMix', yolov5(type='mmleuk.GaussianYOLOv5Head'))
    plain = MODELS.build(yolov5())
    missing = model.detector.load_state_dict(plain.state_dict(), strict=False)
    assert not missing.unexpected_keys
    assert {key.split('.')[1] for key in missing.missing_keys} == {'uncertainty_convs'}


def test_conf_mix_needs_images_of_one_size():
    model = build('ConfMix')
    images, samples = batch()
    images['target'] = torch.rand(2, 3, SIZE, 2 * SIZE)
    with pytest.raises(UserError, match=f"a batch's are {SIZE} x {SIZE} px and {2 * SIZE} x {SIZE} px"):
        model.loss(images, samples)


@pytest.mark.parametrize('kind', ['ConfMix', 'DACA'])
def test_images_put_together_reach_the_border_of_padded_batches(kind):
    model = build(kind)
    believe(model, NEW)
    calls = learnt(model)
    images, samples = batch()
    for sample in (*samples['source'], *samples['target']):
        sample.set_metainfo(dict(img_shape=(SIZE // 2, SIZE // 2)))
    model.loss(images, samples)
    assert [meta['img_shape'] for meta in calls[0]['metas']] == [(SIZE // 2, SIZE // 2)] * 2
    assert [meta['img_shape'] for meta in calls[1]['metas']] == [(SIZE, SIZE)] * len(calls[1]['metas'])


# ---------------------------------------------------------------- DACA

def test_daca_composes_the_best_quarter_four_times():
    model = build('DACA', augmentations=[dict(type='RandomFlip', prob=0.0)])
    believe(model, NEW)
    calls = learnt(model)
    images, samples = batch()
    model.loss(images, samples)
    composed, quarter = calls[1]['images'], images['target'][:, :, 32:, 32:]
    for y in (0, 32):
        for x in (0, 32):
            assert (composed[:, :, y:y + 32, x:x + 32] - quarter).abs().max() < 1 / 254
    own = [value - 32 for value in NEW]
    assert calls[1]['labels'][0].bboxes.tolist() == [
        [own[0] + x, own[1] + y, own[2] + x, own[3] + y] for y in (0, 32) for x in (0, 32)]


def test_daca_flips_boxes_with_the_pixels():
    model = build('DACA', augmentations=[dict(type='RandomFlip', prob=1.0)])
    believe(model, NEW)
    calls = learnt(model)
    images, samples = batch()
    model.loss(images, samples)
    assert (calls[1]['images'][:, :, :32, :32] - images['target'][:, :, 32:, 32:].flip(-1)).abs().max() < 1 / 254
    assert calls[1]['labels'][0].bboxes[0].tolist() == [64 - NEW[2], NEW[1] - 32, 64 - NEW[0], NEW[3] - 32]


def test_daca_default_changes_are_random_and_repeatable():
    results = []
    for seed in (0, 0, 1):
        model = build('DACA')
        believe(model, NEW)
        calls = learnt(model)
        np.random.seed(seed)
        model.loss(*batch())
        results.append(calls[1]['images'])
    assert torch.equal(results[0], results[1]) and not torch.equal(results[0], results[2])
    assert torch.isfinite(results[0]).all()


# ---------------------------------------------------------------- StainTeacher

def test_the_student_sees_the_strong_view_and_the_teacher_the_other():
    model = build('StainTeacher')
    believe(model, NEW)
    teacher, seen = model.teacher.module, []
    forward = teacher.adapter.forward
    teacher.adapter.forward = lambda images: seen.append(images) or forward(images)
    calls = learnt(model)
    images, samples = batch(strong=True)
    model.loss(images, samples)
    assert torch.equal(seen[0], images['target']) and torch.equal(calls[1]['images'], images['target_strong'])
    assert calls[1]['labels'][0].bboxes.tolist() == [NEW]


def test_under_unsure_detections_nothing_is_learnt():
    model = build('StainTeacher')
    believe(model, NEW, score=0.3)
    calls = learnt(model)
    model.loss(*batch())
    assert len(calls[1]['labels'][0]) == 0 and calls[1]['ignored'][0].bboxes.tolist() == [NEW]


def norm_of(model):
    return next(module for module in model.detector.modules() if isinstance(module, nn.BatchNorm2d))


@pytest.mark.parametrize('on', [True, False])
def test_statistics_come_from_the_target_alone(on):
    """A very bright source, or strong view, doesn't move the running mean; the target as it is moves it."""
    means = []
    for bright in (None, 'source', 'target_strong', 'target'):
        model = build('StainTeacher', statistics='target')
        model.activity.pseudo = on
        believe(model, NEW)
        images, samples = batch(strong=True)
        if bright:
            images[bright] = images[bright] + 5
        model.loss(images, samples)
        means.append(norm_of(model).running_mean.clone())
    assert torch.equal(means[0], means[1]) and torch.equal(means[0], means[2])
    assert not torch.equal(means[0], means[3])


@pytest.mark.parametrize('method', ['ConfMix', 'StainTeacher'])
def test_both_update_the_statistics_by_default(method):
    model = build(method)
    before = norm_of(model).running_mean.clone()
    model.activity.pseudo = False
    model.loss(*batch())
    assert not torch.equal(norm_of(model).running_mean, before)


def test_kept_statistics_return_to_normal():
    norm = nn.BatchNorm2d(2, momentum=0.1)
    with keep_statistics(norm):
        norm(torch.rand(4, 2, 3, 3) + 7)
    assert norm.running_mean.tolist() == [0, 0] and norm.momentum == 0.1
    norm(torch.rand(4, 2, 3, 3) + 7)
    assert (norm.running_mean > 0.5).all()


# ---------------------------------------------------------------- errors

def test_unknown_statistics():
    with pytest.raises(UserError, match="'both' or 'target'"):
        build('StainTeacher', statistics='source')


def test_a_labeller_that_needs_regions():
    with pytest.raises(UserError, match='the target has none; use mmleuk.ScoreLabeller'):
        build('ConfMix', yolov5(truth='regions'), labeller=dict(type='mmleuk.ThresholdLabeller'))


def test_single_images_are_refused():
    model = build('ConfMix')
    with pytest.raises(UserError, match='mmleuk.SourceTargetDataset'):
        model.data_preprocessor(dict(inputs=[torch.zeros(3, 8, 8)], data_samples=[DetDataSample()]), training=True)


def test_the_detectors_own_predictions_in_testing():
    model = build('ConfMix').eval()
    images, samples = batch()
    with torch.no_grad():
        found = model.predict(images['source'], copy.deepcopy(samples['source']), rescale=False)
        own = model.detector.predict(images['source'], copy.deepcopy(samples['source']), rescale=False)
    assert torch.equal(found[0].pred_instances.scores, own[0].pred_instances.scores)
    assert isinstance(model, ConfMix)
