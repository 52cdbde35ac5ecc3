"""PostHocCBM: a detector that stays as it is, and a bottleneck that learns beside it."""

import copy

import pytest
import torch
from mmdet.testing import demo_mm_inputs
from mmdet.utils import register_all_modules
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

from mmleuk.errors import UserError
from mmleuk.evaluation import AttributeF1Metric
from mmleuk.models.attributes.concept_bottleneck import ConceptReading
from mmleuk.models.detectors.post_hoc_cbm import NO_CLASS, choose_cells, jitter_boxes
from mmleuk.registry import MODELS
from mmleuk.schema import IGNORE

SCHEMA = {'shape': ['round', 'square'], 'hue': ['red', 'green', 'blue']}
ENCODER = dict(type='mmdet.ResNet', depth=18, base_channels=8, num_stages=4, out_indices=(3,), frozen_stages=-1,
               norm_eval=False, norm_cfg=dict(type='GN', num_groups=4))
DETECTOR = ConfigDict(
    type='mmdet.RetinaNet',
    data_preprocessor=dict(type='DetDataPreprocessor', mean=[127.5] * 3, std=[127.5] * 3, pad_size_divisor=32),
    backbone=dict(type='ResNet', depth=18, base_channels=4, stem_channels=4, frozen_stages=-1, norm_eval=False),
    neck=dict(type='FPN', in_channels=[4, 8, 16, 32], out_channels=8, num_outs=5),
    bbox_head=dict(type='RetinaHead', num_classes=3, in_channels=8, stacked_convs=1, feat_channels=8,
                   anchor_generator=dict(type='AnchorGenerator', octave_base_scale=4, scales_per_octave=1, ratios=[1.0],
                                         strides=[8, 16, 32, 64, 128]),
                   loss_bbox=dict(type='L1Loss')),
    test_cfg=dict(nms_pre=100, min_bbox_size=0, score_thr=0.0, nms=dict(type='nms', iou_threshold=0.5),
                  max_per_img=10))


@pytest.fixture(autouse=True)
def scope():
    register_all_modules(init_default_scope=True)


def build(**options):
    bottleneck = dict(type='mmleuk.ConceptBottleneck', attributes=SCHEMA, num_classes=3, crop_size=32, encoder=ENCODER)
    return MODELS.build(dict(type='mmleuk.PostHocCBM', detector=DETECTOR, bottleneck=bottleneck) | options)


@pytest.fixture
def checkpoint(tmp_path):
    """A trained detector's: weights that no initialisation gives."""
    detector = MODELS.build(DETECTOR)
    for value in detector.state_dict().values():
        if value.is_floating_point():
            value.uniform_(0.1, 0.2)
    path = tmp_path / 'plain.pth'
    torch.save(dict(state_dict=detector.state_dict(), meta={}), path)
    return path


def batch(model, cells=(2, 1), training=True):
    """Inputs and samples of 64 px, image b with ``cells[b]`` cells; in testing they are of 32 px originally."""
    data = demo_mm_inputs(len(cells), [(3, 64, 64)] * len(cells), num_items=list(cells), num_classes=3)
    for sample in data['data_samples']:
        sample.gt_instances.bboxes = sample.gt_instances.bboxes.float()
        sample.gt_instances.attributes = torch.randint(0, 2, (len(sample.gt_instances), 2))
        sample.set_metainfo(dict(scale_factor=(2.0, 2.0), ori_shape=(32, 32)))
    data = model.data_preprocessor(data, training)
    return data['inputs'], data['data_samples']


def weights_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_training_leaves_the_detector_alone():
    """Neither its weights nor its statistics change, it isn't run, and its dropout and norms stay as in testing."""
    model = build().train()
    assert model.bottleneck.training and model.bottleneck.extractor.encoder.training
    assert not any(module.training for module in model.detector.modules())
    model.detector.forward = model.detector.extract_feat = None  # would fail
    before = weights_of(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(2):
        losses = model.loss(*batch(model))
        assert set(losses) == {'loss_attributes', 'loss_concept_class'}
        optimizer.zero_grad()
        model.parse_losses(losses)[0].backward()
        optimizer.step()
    changed = {name for name, value in weights_of(model).items() if not torch.equal(value, before[name])}
    assert changed and all(name.startswith('bottleneck.') for name in changed)


@pytest.mark.parametrize('cells', [(0, 0), (0, 2)])
def test_images_without_cells(cells):
    model = build().train()
    total, _ = model.parse_losses(model.loss(*batch(model, cells)))
    total.backward()
    assert total.isfinite() and (total == 0) == (sum(cells) == 0)


def test_detections_are_the_detectors_with_what_the_bottleneck_sees():
    model = build(min_score=0.0).eval()
    inputs, samples = batch(model, training=False)
    with torch.no_grad():
        plain = model.detector.predict(inputs, copy.deepcopy(samples))
    for own, sample in zip(plain, model.predict(inputs, copy.deepcopy(samples))):
        found = sample.pred_instances
        assert len(found) > 0
        assert all(torch.equal(own.pred_instances[key], found[key]) for key in ('bboxes', 'scores', 'labels'))
        assert found.attributes.shape == (len(found), 2) and found.attribute_probs.shape == (len(found), 2, 3)
        assert torch.equal(found.disagrees, found.cbm_labels != found.labels)
        assert found.cbm_scores.min() >= 1 / 3 - 1e-6 and found.cbm_scores.max() <= 1


def test_boxes_are_looked_at_in_input_pixels():
    model = build(on_ground_truth=True).eval()
    inputs, samples = batch(model, training=False)
    small = model.predict(inputs, copy.deepcopy(samples), rescale=True)
    large = model.predict(inputs, copy.deepcopy(samples), rescale=False)
    for a, b in zip(small, large):
        torch.testing.assert_close(a.pred_instances.attribute_probs, b.pred_instances.attribute_probs)
    boxes = [2 * sample.gt_instances.bboxes for sample in samples]
    with torch.no_grad():
        readings = model.bottleneck.predict(inputs, [box.clamp(0, 64) for box in boxes])
    for sample, reading in zip(small, readings):
        torch.testing.assert_close(sample.gt_attributes.attribute_probs, reading.attribute_probs)


def test_disagreement_by_hand(monkeypatch):
    """The detector says 0, 1, 2; the bottleneck 0, 2, 2; the third is too faint to be looked at."""
    model = build(min_score=0.5).eval()
    inputs, samples = batch(model, cells=(1,), training=False)

    def detect(batch_inputs, found, rescale=True):
        found[0].pred_instances = InstanceData(
            bboxes=torch.tensor([[0.0, 0, 9, 9]] * 3), scores=torch.tensor([0.9, 0.8, 0.1]),
            labels=torch.tensor([0, 1, 2]))
        return found

    def read(batch_inputs, boxes):
        assert [len(box) for box in boxes] == [2]
        return [ConceptReading(attributes=torch.tensor([[1, 2], [0, 0]]), attribute_probs=torch.rand(2, 2, 3),
                               class_probs=torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]]))]

    monkeypatch.setattr(model.detector, 'predict', detect)
    monkeypatch.setattr(model.bottleneck, 'predict', read)
    found = model.predict(inputs, samples)[0].pred_instances
    assert found.cbm_labels.tolist() == [0, 2, NO_CLASS]
    assert found.cbm_scores.tolist() == pytest.approx([0.7, 0.6, 0.0])
    assert found.disagrees.tolist() == [False, True, False]
    assert found.attributes.tolist() == [[1, 2], [0, 0], [IGNORE, IGNORE]]


def test_plain_images_and_no_detection():
    model = build(on_ground_truth=True).eval()
    inputs, samples = batch(model, training=False)
    for sample in samples:
        del sample.gt_instances
    model.detector.bbox_head.test_cfg.score_thr = 2.0
    for sample in model.predict(inputs, samples):
        found = sample.pred_instances
        assert len(found) == 0 and found.attributes.shape == (0, 2) and found.disagrees.shape == (0,)
        assert 'gt_attributes' not in sample


def test_the_metric_takes_its_predictions():
    model = build(on_ground_truth=True).eval()
    samples = model.predict(*batch(model, training=False))
    for sample in samples:
        sample.set_metainfo(dict(annotated_regions=torch.tensor([[0.0, 0, 999, 999]])))
    for mode in ('detection', 'gt_boxes'):
        metric = AttributeF1Metric(mode=mode, binary='macro', min_score=0.0)
        metric.dataset_meta = dict(attributes=SCHEMA)
        metric.process({}, [sample.to_dict() for sample in samples])
        scores = metric.evaluate(2)
        assert 0 <= scores[f'{metric.prefix}/macro_f1'] <= 1 and scores[f'{metric.prefix}/shape_known'] == 3


def test_a_training_starts_from_the_detectors_checkpoint(checkpoint):
    model = build(detector_checkpoint=str(checkpoint))
    before = weights_of(model)
    model.init_weights()
    trained = torch.load(checkpoint, weights_only=True)['state_dict']
    assert all(torch.equal(value, trained[name]) for name, value in model.detector.state_dict().items())
    name = 'bottleneck.classifier.layers.0.weight'
    assert not torch.equal(model.state_dict()[name], before[name])


def test_mistakes_say_what_to_do(checkpoint, tmp_path):
    with pytest.raises(UserError, match='train the plain detector first'):
        build().init_weights()
    with pytest.raises(UserError, match=r"none\.pth', which is no file"):
        build(detector_checkpoint=str(tmp_path / 'none.pth')).init_weights()
    wide = copy.deepcopy(DETECTOR)
    wide['bbox_head']['num_classes'] = 5
    with pytest.raises(UserError, match='another number of classes'):
        build(detector=wide, detector_checkpoint=str(checkpoint)).init_weights()
    with pytest.raises(UserError, match='max_cells >= 1'):
        build(max_cells=0)
    model = build()
    inputs, samples = batch(model)
    del samples[0].gt_instances.attributes
    with pytest.raises(UserError, match='mmleuk.PackCells'):
        model.loss(inputs, samples)


def test_its_own_checkpoint_is_whole():
    """Testing takes everything from it, the detector too, and needs no other file."""
    model, twin = build().eval(), build(detector_checkpoint='gone.pth').eval()
    twin.load_state_dict(model.state_dict())
    inputs, samples = batch(model, training=False)
    for a, b in zip(model.predict(inputs, copy.deepcopy(samples)), twin.predict(inputs, copy.deepcopy(samples))):
        assert torch.equal(a.pred_instances.attribute_probs, b.pred_instances.attribute_probs)
        assert torch.equal(a.pred_instances.cbm_labels, b.pred_instances.cbm_labels)


def test_described_cells_come_first():
    attributes = torch.full((10, 2), IGNORE)
    attributes[3, 1] = attributes[7, 0] = 1
    draws = [choose_cells(attributes, 4).tolist() for _ in range(30)]
    assert all(set(chosen[:2]) == {3, 7} and len(set(chosen)) == 4 for chosen in draws)
    assert len({chosen[2] for chosen in draws}) > 3
    assert choose_cells(attributes[:0], 4).tolist() == []
    assert sorted(choose_cells(attributes, 20).tolist()) == list(range(10))


def test_jitter_stays_within_its_share():
    box = torch.tensor([[10.0, 20, 30, 60]]).expand(500, 4)
    assert torch.equal(jitter_boxes(box, 0.0), box)
    moved = jitter_boxes(box, 0.1)
    centres, sizes = (moved[:, :2] + moved[:, 2:]) / 2, moved[:, 2:] - moved[:, :2]
    assert ((centres - torch.tensor([20.0, 40])).abs() <= torch.tensor([2.001, 4.001])).all()
    assert ((sizes / torch.tensor([20.0, 40]) - 1).abs() <= 0.1001).all() and moved.std(0).min() > 0.5
    assert jitter_boxes(box[:0], 0.1).shape == (0, 4)
