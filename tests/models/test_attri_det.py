"""AttriDet around one-stage, two-stage and query-based detectors."""

import copy
from pathlib import Path

import mmdet
import pytest
import torch
from mmdet.registry import MODELS as MMDET_MODELS
from mmdet.structures import DetDataSample
from mmdet.testing import demo_mm_inputs
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.structures import InstanceData

from mmleuk.errors import UserError
from mmleuk.models.detectors.attri_det import AttriDet, ground_truth_boxes
from mmleuk.models.detectors.feature_taps import FeatureTaps
from mmleuk.registry import MODELS
from mmleuk.schema import IGNORE

MMDET_CONFIGS = Path(mmdet.__file__).parent / '.mim' / 'configs'
LAYERS = ('backbone.layer1', 'backbone.layer2')
HEAD = dict(type='mmleuk.AttriHead', attributes='leukemia', conv_channels=(8, 8, 8), fc_channels=(16, 8))
CONFIGS = dict(
    fcos='fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py',
    faster_rcnn='faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
    dino='dino/dino-4scale_r50_8xb2-12e_coco.py')


def tiny_detector(name):
    """One of MMDetection's detectors with a ResNet-18, three classes and random weights."""
    register_all_modules(init_default_scope=True)
    cfg = Config.fromfile(MMDET_CONFIGS / CONFIGS[name]).model
    cfg.backbone.update(depth=18, init_cfg=None, frozen_stages=-1, norm_eval=False, norm_cfg=dict(type='BN'),
                        style='pytorch')
    if name == 'dino':
        cfg.neck.in_channels = [128, 256, 512]
        cfg.num_queries = 20
        cfg.encoder.num_layers = cfg.decoder.num_layers = 1
        cfg.dn_cfg.group_cfg.num_dn_queries = 4
        cfg.bbox_head.num_classes = 3
        cfg.test_cfg.max_per_img = 10
    else:
        cfg.neck.update(in_channels=[64, 128, 256, 512], out_channels=32)
        if name == 'faster_rcnn':
            cfg.rpn_head.update(in_channels=32, feat_channels=32)
            cfg.roi_head.bbox_roi_extractor.out_channels = 32
            cfg.roi_head.bbox_head.update(in_channels=32, fc_out_channels=32)
        else:
            cfg.bbox_head.update(in_channels=32, feat_channels=32)
        (cfg.roi_head.bbox_head if name == 'faster_rcnn' else cfg.bbox_head).num_classes = 3
        (cfg.test_cfg.rcnn if name == 'faster_rcnn' else cfg.test_cfg).score_thr = 0.0
        (cfg.test_cfg.rcnn if name == 'faster_rcnn' else cfg.test_cfg).max_per_img = 10
    return cfg


def build(name='fcos', **kwargs):
    torch.manual_seed(0)
    model = MODELS.build(dict(type='mmleuk.AttriDet', detector=tiny_detector(name), attri_head=HEAD,
                              feature_layers=LAYERS, **kwargs))
    if name == 'dino':
        torch.nn.init.normal_(model.detector.level_embed)  # mmdet leaves it bare memory until init_weights
    return model


def batch(model, cells=(2, 1), attributes=6):
    """Preprocessed inputs and samples of 128 px, image b with ``cells[b]`` cells."""
    data = demo_mm_inputs(len(cells), [(3, 128, 128)] * len(cells), num_items=list(cells), num_classes=3)
    for sample in data['data_samples']:
        sample.gt_instances.bboxes = sample.gt_instances.bboxes.float()
        sample.gt_instances.attributes = torch.randint(0, 2, (len(sample.gt_instances), attributes))
        sample.set_metainfo(dict(scale_factor=(2.0, 2.0), ori_shape=(64, 64)))
    data = model.data_preprocessor(data, training=True)
    return data['inputs'], data['data_samples']


@pytest.fixture(scope='module')
def fcos():
    return build()


@pytest.mark.parametrize('name', list(CONFIGS))
def test_trains_and_predicts_with_any_detector(name):
    model = build(name).train()
    losses = model(*batch(model), mode='loss')
    total, logged = model.parse_losses(losses)
    total.backward()
    assert 'loss_attributes' in logged and total.isfinite()
    assert model.attri_head.extractor.convs[0].weight.grad.abs().sum() > 0
    assert model.detector.backbone.layer1[0].conv1.weight.grad.abs().sum() > 0
    model.eval()
    for sample in model(*batch(model), mode='predict'):
        found = sample.pred_instances
        assert found.attributes.shape == (len(found), 6) and found.attributes.dtype == torch.int64
        assert found.attribute_probs.shape == (len(found), 6, 2)
        torch.testing.assert_close(found.attribute_probs.sum(2), torch.ones(len(found), 6))
    outputs = model(*batch(model), mode='tensor')
    assert isinstance(outputs, (tuple, dict))


@pytest.mark.parametrize('name', ['fcos', 'faster_rcnn'])
@pytest.mark.parametrize('cells', [(0, 0), (0, 2)])
def test_images_without_cells(name, cells):
    model = build(name).train()
    losses = model(*batch(model, cells), mode='loss')
    model.parse_losses(losses)[0].backward()
    assert losses['loss_attributes'].isfinite()
    assert (losses['loss_attributes'] == 0) == (sum(cells) == 0)
    assert all(parameter.grad is not None for parameter in model.attri_head.parameters())


def test_detections_are_the_plain_detectors(fcos):
    fcos.eval()
    inputs, samples = batch(fcos)
    with torch.no_grad():
        plain = fcos.detector.predict(inputs, copy.deepcopy(samples), rescale=True)
        ours = fcos.predict(inputs, copy.deepcopy(samples), rescale=True)
    for a, b in zip(plain, ours):
        assert len(a.pred_instances) > 0
        for key in ('bboxes', 'scores', 'labels'):
            assert torch.equal(a.pred_instances[key], b.pred_instances[key])


def test_boxes_are_looked_at_in_input_pixels(fcos):
    """With rescale or without, the attributes are the same: only the boxes' unit changes."""
    fcos.eval()
    inputs, samples = batch(fcos)
    large = fcos.predict(inputs, copy.deepcopy(samples), rescale=False)
    small = fcos.predict(inputs, copy.deepcopy(samples), rescale=True)
    for a, b in zip(large, small):
        torch.testing.assert_close(a.pred_instances.bboxes, 2 * b.pred_instances.bboxes, rtol=1e-5, atol=1e-4)
        torch.testing.assert_close(a.pred_instances.attribute_probs, b.pred_instances.attribute_probs, rtol=0,
                                   atol=1e-5)


def test_prediction_needs_no_ground_truth_and_repeats(fcos):
    fcos.eval()
    inputs, samples = batch(fcos)
    for sample in samples:
        del sample.gt_instances
    first = fcos.predict(inputs, copy.deepcopy(samples))
    second = fcos.predict(inputs, copy.deepcopy(samples))
    assert torch.equal(first[0].pred_instances.attribute_probs, second[0].pred_instances.attribute_probs)


def test_no_detection_at_all(fcos):
    fcos.eval()
    fcos.detector.bbox_head.test_cfg.score_thr = 2.0
    try:
        found = fcos.predict(*batch(fcos))[0].pred_instances
    finally:
        fcos.detector.bbox_head.test_cfg.score_thr = 0.0
    assert len(found) == 0 and found.attributes.shape == (0, 6) and found.attribute_probs.shape == (0, 6, 2)


def test_faint_detections_keep_unknown_attributes(fcos):
    fcos.eval()
    inputs, samples = batch(fcos)
    everything = fcos.predict(inputs, copy.deepcopy(samples))[0].pred_instances
    fcos.min_score = everything.scores.median().item()
    try:
        some = fcos.predict(inputs, copy.deepcopy(samples))[0].pred_instances
    finally:
        fcos.min_score = 0.0
    kept = some.scores >= everything.scores.median()
    assert 0 < kept.sum() < len(kept)
    assert torch.equal(some.attributes[kept], everything.attributes[kept])
    assert (some.attributes[~kept] == IGNORE).all() and (some.attribute_probs[~kept] == 0).all()


def test_undescribed_classes_keep_unknown_attributes(fcos):
    """Where the data set is known, its red cells have no attributes; the others have what they had."""
    fcos.eval()
    inputs, samples = batch(fcos)
    everything = fcos.predict(inputs, copy.deepcopy(samples))[0].pred_instances
    names = [f'class {label}' for label in range(int(everything.labels.max()) + 1)]
    fcos.dataset_meta = dict(classes=names, described=names[:1])
    try:
        some = fcos.predict(inputs, copy.deepcopy(samples))[0].pred_instances
    finally:
        fcos.dataset_meta = None
    described = everything.labels == 0
    assert 0 < described.sum() < len(described) and (everything.attributes != IGNORE).all()
    assert torch.equal(some.attributes[described], everything.attributes[described])
    assert (some.attributes[~described] == IGNORE).all() and (some.attribute_probs[~described] == 0).all()
    assert torch.equal(some.bboxes, everything.bboxes) and torch.equal(some.labels, everything.labels)


def test_attributes_of_ground_truth_boxes(fcos):
    fcos.eval()
    inputs, samples = batch(fcos)
    for sample in samples:  # in testing ground truth comes in pixels of the original image
        sample.gt_instances.bboxes = sample.gt_instances.bboxes / 2
    fcos.on_ground_truth = True
    try:
        found = fcos.predict(inputs, copy.deepcopy(samples))
        without = copy.deepcopy(samples)
        for sample in without:
            del sample.gt_instances
        assert not any('gt_attributes' in sample for sample in fcos.predict(inputs, without))
    finally:
        fcos.on_ground_truth = False
    with torch.no_grad():
        with fcos.taps.open():
            fcos.extract_feat(inputs)
            features = fcos.taps.take()
        expected = fcos.attri_head.predict(features, [2 * sample.gt_instances.bboxes for sample in samples])
    for sample, (values, probabilities) in zip(found, expected):
        assert torch.equal(sample.gt_attributes.attributes, values)
        torch.testing.assert_close(sample.gt_attributes.attribute_probs, probabilities)


def test_true_boxes_follow_a_flipped_view():
    """Test-time augmentation: the image is mirrored, the cells were loaded afterwards, in original pixels."""
    boxes = torch.tensor([[5.0, 10, 25, 30]])
    expected = {None: [10, 20, 50, 60], 'horizontal': [150, 20, 190, 60], 'vertical': [10, 40, 50, 80]}
    for direction, box in expected.items():
        sample = DetDataSample(metainfo=dict(
            scale_factor=(2.0, 2.0), ori_shape=(50, 100), flip=direction is not None, flip_direction=direction))
        sample.gt_instances = InstanceData(bboxes=boxes)
        assert ground_truth_boxes([sample], torch.zeros(1, 3, 100, 200))[0].tolist() == [box], direction
        assert torch.equal(sample.gt_instances.bboxes, boxes)


def test_a_copy_captures_its_own_features(fcos):
    """What an EMA does: the copy's hooks must fill the copy's taps, and its features must follow its weights."""
    fcos.eval()
    inputs, samples = batch(fcos)
    twin = copy.deepcopy(fcos)
    with torch.no_grad():
        for parameter in twin.detector.parameters():
            parameter.mul_(1.5)
    with torch.no_grad(), fcos.taps.open(), twin.taps.open():
        expected = twin.detector.backbone(inputs)[0]
        assert all(tap.output is None for tap in fcos.taps.taps)
        assert torch.equal(twin.taps.take()[0], expected)
        ours = fcos.detector.backbone(inputs)[0]
        assert torch.equal(fcos.taps.take()[0], ours) and not torch.equal(ours, expected)
    before = fcos.predict(inputs, copy.deepcopy(samples))[0].pred_instances.attribute_probs
    twin.predict(inputs, copy.deepcopy(samples))
    after = fcos.predict(inputs, copy.deepcopy(samples))[0].pred_instances.attribute_probs
    assert torch.equal(before, after)


def test_backbone_runs_once_and_nothing_is_kept(fcos):
    fcos.train()
    calls = []
    handle = fcos.detector.backbone.register_forward_hook(lambda *args: calls.append(1))
    try:
        fcos.loss(*batch(fcos))
        fcos.eval().predict(*batch(fcos))
    finally:
        handle.remove()
    assert len(calls) == 2
    assert all(tap.output is None for tap in fcos.taps.taps)


def test_widths_and_strides_are_measured_and_nothing_else_changes():
    model = build()
    assert model.attri_head.in_channels == (64, 128) and model.attri_head.featmap_strides == (4, 8)
    assert model.training and all(module.training for module in model.detector.backbone.modules())
    norm = model.detector.backbone.bn1
    assert norm.num_batches_tracked == 0 and (norm.running_mean == 0).all()


def test_outputs_of_a_backbone_by_index():
    model = MODELS.build(dict(type='mmleuk.AttriDet', detector=tiny_detector('dino'), attri_head=HEAD,
                              feature_layers=('backbone.layer1', 'backbone[0]')))
    assert model.attri_head.in_channels == (64, 128) and model.attri_head.featmap_strides == (4, 8)


@pytest.mark.parametrize('layers, message', [
    (('backbone.stage9',), 'names no submodule of FCOS; there are .*backbone.layer1'),
    (('backbone',), 'instead of one map'),
    (('backbone[7]',), 'instead of one map'),
    (('bbox_head',), 'took no part'),
    ('backbone.layer1', 'expected a list'),
    ((), 'expected a list')])
def test_wrong_feature_layers(layers, message):
    with pytest.raises(UserError, match=message):
        MODELS.build(dict(type='mmleuk.AttriDet', detector=tiny_detector('fcos'), attri_head=HEAD,
                          feature_layers=layers))


def test_training_without_attributes_says_what_to_do(fcos):
    inputs, samples = batch(fcos)
    del samples[0].gt_instances.attributes
    with pytest.raises(UserError, match='mmleuk.PackCells'):
        fcos.loss(inputs, samples)
    with pytest.raises(UserError, match='the schema has 6 attributes'):
        fcos.loss(*batch(fcos, attributes=7))


def test_loss_weight_scales_the_heads_loss_alone():
    full, half = build(loss_weight=1.0), build(loss_weight=0.5)
    half.load_state_dict(full.state_dict())
    full.eval(), half.eval()  # no dropout
    inputs, samples = batch(full)
    a, b = full.loss(inputs, copy.deepcopy(samples)), half.loss(inputs, copy.deepcopy(samples))
    torch.testing.assert_close(a['loss_attributes'], 2 * b['loss_attributes'])
    torch.testing.assert_close(a['loss_cls'], b['loss_cls'])


def test_inputs_are_read_only(fcos):
    fcos.eval()
    inputs, samples = batch(fcos)
    config = tiny_detector('fcos')
    snapshot = copy.deepcopy(config)
    MODELS.build(dict(type='mmleuk.AttriDet', detector=config, attri_head=HEAD, feature_layers=LAYERS))
    assert config == snapshot
    first, second = fcos.loss(inputs, samples), fcos.loss(inputs, samples)
    assert {key: float(value) for key, value in first.items()} == {key: float(value) for key, value in second.items()}


def test_data_preprocessor_is_the_detectors(fcos):
    plain = MMDET_MODELS.build(tiny_detector('fcos'))
    assert torch.equal(fcos.data_preprocessor.mean, plain.data_preprocessor.mean)
    assert isinstance(fcos, AttriDet) and isinstance(fcos.taps, FeatureTaps)
    assert set(plain.state_dict()) == {key.removeprefix('detector.') for key in fcos.state_dict()
                                       if key.startswith('detector.')}
