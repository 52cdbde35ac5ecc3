import copy
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from mmleuk.errors import UserError
from mmleuk.models.detectors.adapters import adapt, take_rows

CONFIG = Path(__file__).parents[2] / 'configs' / '_base_' / 'models' / 'yolov5n.py'
SIZE = 64
EMPTY = dict(boxes=(), labels=())


def yolov5():
    config = Config.fromfile(CONFIG).model
    config.bbox_head.update(num_classes=3, image_size=SIZE)
    return config


def retina(head=None):
    head = head or dict(
        type='RetinaHead', stacked_convs=1, feat_channels=8,
        anchor_generator=dict(type='AnchorGenerator', octave_base_scale=4, scales_per_octave=1, ratios=[1.0],
                              strides=[4, 8, 16, 32, 64]),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder'), loss_cls=dict(type='FocalLoss', use_sigmoid=True),
        loss_bbox=dict(type='L1Loss'))
    return dict(
        type='SingleStageDetector', data_preprocessor=dict(type='DetDataPreprocessor', pad_size_divisor=32),
        backbone=dict(type='ResNet', depth=18, base_channels=4, stem_channels=4, frozen_stages=-1, norm_eval=False),
        neck=dict(type='FPN', in_channels=[4, 8, 16, 32], out_channels=8, num_outs=5),
        bbox_head=dict(num_classes=3, in_channels=8, **head),
        train_cfg=dict(assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0),
                       sampler=dict(type='PseudoSampler'), allowed_border=-1, pos_weight=-1),
        test_cfg=dict(nms_pre=100, min_bbox_size=0, score_thr=0.05, nms=dict(type='nms', iou_threshold=0.5),
                      max_per_img=10))


def fcos(**options):
    return retina(dict(type='FCOSHead', stacked_convs=1, feat_channels=8, norm_cfg=None, **options))


DETECTORS = dict(yolov5=yolov5, retina=retina, fcos=fcos)


def build(detector=yolov5, min_score=0.6):
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = MODELS.build(dict(type='mmleuk.CoMining', detector=detector(),
                              labeller=dict(type='mmleuk.OtherViewLabeller', min_score=min_score)))
    model.init_weights()
    model.activity.pseudo = True
    return model.train()


def count(model):
    return model.labeller.count(model.last_judged)


def instances(boxes=(), labels=(), **fields):
    boxes = torch.tensor(boxes, dtype=torch.float32).view(-1, 4)
    return InstanceData(bboxes=boxes, labels=torch.tensor(labels, dtype=torch.long), **fields)


def sample(boxes=(), labels=()):
    return DetDataSample(metainfo=dict(img_shape=(SIZE, SIZE), pad_shape=(SIZE, SIZE), scale_factor=(1., 1.)),
                         gt_instances=instances(boxes, labels), ignored_instances=instances())


CELLS = [dict(boxes=[[5., 5., 35., 40.], [30., 20., 60., 50.]], labels=[0, 1]), dict(boxes=[[10., 10., 40., 40.]],
                                                                                     labels=[2])]


def batch(cells=CELLS, same=False):
    torch.manual_seed(1)
    first = torch.rand(len(cells), 3, SIZE, SIZE)
    views = dict(original=first, augmented=first.clone() if same else 1 - first)
    return views, {view: [sample(**c) for c in cells] for view in views}


def believe(head, *per_image):
    """The head's detections become these, whatever it sees: per row of its batch (boxes, labels, scores)."""
    def predict_by_feat(*outputs, batch_img_metas, cfg, rescale):
        assert len(batch_img_metas) == len(per_image) == len(outputs[0][0])
        return [instances(boxes, labels, scores=torch.tensor(scores)) for boxes, labels, scores in per_image]
    head.predict_by_feat = predict_by_feat


NOTHING = ([], [], [])
FAR = [44., 2., 62., 16.]


def seen_labels(model):
    """Boxes of the labels that each call of the head's loss gets."""
    calls, original = [], model.detector.bbox_head.loss_by_feat

    def loss_by_feat(*args, **kwargs):
        calls.append([i.bboxes.tolist() for i in args[-3]])
        return original(*args, **kwargs)
    model.detector.bbox_head.loss_by_feat = loss_by_feat
    return calls


def total(losses):
    return sum(v if isinstance(v, torch.Tensor) else sum(v) for v in losses.values())


@pytest.mark.parametrize('name', DETECTORS)
def test_nothing_mined_is_twice_the_plain_loss(name):
    """Two equal views; BatchNorm sees the same statistics in 2B images as in B."""
    model = build(detector=DETECTORS[name])
    plain = copy.deepcopy(model.detector)
    views, samples = batch(same=True)
    losses = model.loss(views, samples)
    assert count(model) == dict(labelled=0, kept=0) and len(model.last_judged) == 4
    expected = total(plain.loss(views['original'], samples['original']))
    assert total(losses).item() == pytest.approx(2 * expected.item(), rel=1e-4)
    assert {key.partition('_')[0] for key in losses} == {'original', 'augmented'}


def test_views_swap_what_is_not_labelled():
    model = build()
    first = CELLS[0]['boxes'][0]
    believe(model.detector.bbox_head,
            ([FAR, first], [1, 0], [0.8, 0.9]), NOTHING,  # original views: a new cell, and a labelled one again
            ([first], [1], [0.7]), ([FAR], [2], [0.65]))  # augmented ones: that cell as another class; a new cell
    calls = seen_labels(model)
    model.loss(*batch())
    assert calls == [[[*CELLS[0]['boxes'], first], [*CELLS[1]['boxes'], FAR]],
                     [[*CELLS[0]['boxes'], FAR], CELLS[1]['boxes']]]
    assert count(model) == dict(labelled=1, kept=3)


@pytest.mark.parametrize('name', DETECTORS)
def test_mined_labels_come_from_the_heads_own_outputs(name):
    """A low bar lets every head mine; scores are above it, and the labels raise the loss of neither to infinity."""
    model = build(detector=DETECTORS[name], min_score=1e-5)
    losses = model.loss(*batch())
    assert count(model)['kept'] > 0 and all((found.scores > 1e-5).all() for found in model.last_judged)
    total(losses).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_either_view_sends_gradients_but_mining_none():
    model = build(min_score=1e-5)
    views, samples = batch()
    views = {view: images.requires_grad_() for view, images in views.items()}
    total(model.loss(views, samples)).backward()
    assert all(images.grad.abs().sum() > 0 for images in views.values())
    assert count(model)['kept'] and not any(f.bboxes.requires_grad or f.scores.requires_grad for f in model.last_judged)


def test_switched_off_it_only_sees_double():
    model = build(min_score=1e-5)
    model.activity.pseudo = False
    calls = seen_labels(model)
    model.loss(*batch())
    assert model.last_judged is None and calls == [[c['boxes'] for c in CELLS]] * 2


@pytest.mark.parametrize('cells', [[EMPTY, EMPTY], [EMPTY, CELLS[1]]])
@pytest.mark.parametrize('name', DETECTORS)
def test_images_without_cells(name, cells):
    model = build(detector=DETECTORS[name])
    losses = total(model.loss(*batch(cells)))
    losses.backward()
    assert torch.isfinite(losses)


def test_twice_is_the_same_and_inputs_stay():
    model = build(min_score=1e-5)
    views, samples = batch()
    before = copy.deepcopy((views, samples))
    first, second = model.loss(views, samples), model.loss(views, samples)
    assert all(torch.equal(first[name], second[name]) for name in first)
    for view in views:
        assert torch.equal(views[view], before[0][view])
        assert all(torch.equal(a.gt_instances.bboxes, b.gt_instances.bboxes)
                   for a, b in zip(samples[view], before[1][view]))


def test_a_checkpoint_predicts_like_the_plain_detector():
    model = build().eval()
    plain = MODELS.build(yolov5())
    plain.load_state_dict({key.removeprefix('detector.'): value for key, value in model.state_dict().items()})
    data = dict(inputs=[torch.randint(0, 256, (3, SIZE, SIZE), dtype=torch.uint8)], data_samples=[sample()])
    expected = plain.eval().test_step(copy.deepcopy(data))[0].pred_instances
    actual = model.test_step(copy.deepcopy(data))[0].pred_instances
    assert len(actual) > 0 and all(torch.equal(actual[key], expected[key]) for key in ('bboxes', 'scores', 'labels'))


def test_one_view_is_refused():
    data = dict(inputs=[torch.zeros(3, SIZE, SIZE)], data_samples=[sample()])
    with pytest.raises(UserError, match='got one.*MultiBranch'):
        build().data_preprocessor(data, True)
    branches = dict(inputs=dict(sup=data['inputs']), data_samples=dict(sup=data['data_samples']))
    with pytest.raises(UserError, match='sup'):
        build().data_preprocessor(branches, True)


def test_heads_that_cannot_be_mined_are_refused():
    with pytest.raises(UserError, match='norm_on_bbox'):
        build(detector=lambda: fcos(norm_on_bbox=True))
    with pytest.raises(UserError, match='a Linear cannot learn from found labels'):
        adapt(torch.nn.Linear(1, 1))


def test_rows_of_nested_outputs():
    a = torch.arange(6).view(3, 2)
    assert [part.tolist() for part in take_rows(([a], a[:, 0]), [2, 0])[0]] == [[[4, 5], [0, 1]]]


def test_measured_thresholds_go_with_background_everywhere():
    """The labeller reads the regions, the loss doesn't: it learns the same with other regions, until labels differ."""
    init_default_scope('mmdet')
    torch.manual_seed(0)
    labeller = dict(type='mmleuk.CalibratedViewLabeller', num_classes=3, calibration=dict(min_evidence=1, decay=0.9))
    model = MODELS.build(dict(type='mmleuk.CoMining', detector=yolov5(), labeller=labeller)).train()
    model.activity.pseudo = True
    views, samples = batch()
    for view in samples.values():
        view[0].set_metainfo(dict(annotated_regions=[[0., 0., 40., 64.]]))
        view[1].set_metainfo(dict(annotated_regions=[]))
    cell, hidden = CELLS[0]['boxes'][0], [44., 2., 62., 16.]
    believe(model.detector.bbox_head, *[([cell, hidden], [0, 0], [0.9, 0.95]), NOTHING] * 2)
    calls = seen_labels(model)
    for _ in range(30):  # one wrong prediction more is always counted
        losses = model.loss(views, samples)
    assert torch.isfinite(total(losses))
    assert calls[0] == [CELLS[0]['boxes'], CELLS[1]['boxes']]  # nothing is known yet
    assert calls[-1] == [[*CELLS[0]['boxes'], hidden], CELLS[1]['boxes']]
    assert count(model) == dict(labelled=2, confidence=0, kept=2)
    assert any('calibration' in key for key in model.state_dict())
