from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from mmleuk.errors import UserError
from mmleuk.models.task_modules.yolov5_assigner import BatchCells

CONFIG = Path(__file__).parents[2] / 'configs' / '_base_' / 'models' / 'yolov5n.py'
PLAIN = {'loss_bbox', 'loss_obj', 'loss_cls'}
PSEUDO = {'loss_pseudo_bbox', 'loss_pseudo_obj', 'loss_pseudo_cls'}
FULL = dict(loss_triplet=dict(type='mmleuk.TripletLoss'))


def build(active=True, head=None, type='mmleuk.SLADet', **terms):
    init_default_scope('mmdet')
    detector = Config.fromfile(CONFIG).model
    detector.bbox_head.update(dict(num_classes=3, image_size=128, truth='regions') | (head or {}))
    torch.manual_seed(0)
    model = MODELS.build(dict(type=type, detector=detector, **terms))
    model.init_weights()
    model.activity.pseudo = model.activity.triplet = active
    return model.train()


def sample(boxes=(), labels=(), region=(0., 0., 60., 60.)):
    boxes = torch.tensor(boxes, dtype=torch.float32).view(-1, 4)
    found = DetDataSample(
        metainfo=dict(annotated_regions=torch.tensor(region).view(-1, 4), img_shape=(128, 128), scale_factor=(1., 1.)),
        gt_instances=InstanceData(bboxes=boxes, labels=torch.tensor(labels, dtype=torch.long)))
    found.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
    return found


def batch():
    return [sample([[5., 5., 35., 40.], [30., 20., 60., 50.]], [0, 1]), sample([[10., 10., 40., 40.]], [2])]


def confident(model, *places):
    """Make the stride-16 prediction of anchor 0 confident at (image, row, column, objectness, class); keep the raw."""
    kept = []

    def hook(head, inputs, outputs):
        raw = [o.clone() for o in outputs[0]]
        level = raw[1].unflatten(1, (3, -1))
        for image, row, column, objectness, label in places:
            level[image, 0, :4, row, column] = 0.
            level[image, 0, 4, row, column] = objectness
            level[image, 0, 5:, row, column] = -9.
            level[image, 0, 5 + label, row, column] = 9.
        raw[1] = level.flatten(1, 2)
        for o in raw:
            if o.requires_grad:
                o.retain_grad()
        kept[:] = raw
        return (raw,)
    model.detector.bbox_head.register_forward_hook(hook)
    return kept


def count(model):
    """What became of the last batch's predictions."""
    return model.labeller.count(model.last_judged)


def images(count=2):
    return torch.rand(count, 3, 128, 128, generator=torch.Generator().manual_seed(5))


LABEL = (0, 6, 6, 6., 1)      # outside the region, confidence 0.997
UNSURE = (0, 6, 2, 2., 0)     # outside, 0.88
INSIDE = (0, 1, 1, 6., 0)     # in the region


@pytest.mark.parametrize(('terms', 'extra'), [
    (dict(pseudo_weight=0), set()),
    ({}, PSEUDO),
    (dict(pseudo_weight=0, **FULL), {'loss_triplet'}),
    (FULL, PSEUDO | {'loss_triplet'}),
])
def test_terms_switch_on_by_config(terms, extra):
    model = build(**terms)
    assert set(model.loss(images(), batch())) == PLAIN | extra


@pytest.mark.parametrize(('pseudo', 'triplet', 'extra'), [
    (False, False, set()), (True, False, PSEUDO), (False, True, {'loss_triplet'})])
def test_terms_follow_the_schedule(pseudo, triplet, extra):
    model = build(**FULL)
    model.activity.pseudo, model.activity.triplet = pseudo, triplet
    assert set(model.loss(images(), batch())) == PLAIN | extra


def test_terms_rest_until_somebody_wakes_them():
    assert set(build(active=None, **FULL).loss(images(), batch())) == PLAIN


def test_what_does_not_fit_together_is_refused():
    with pytest.raises(UserError, match='truth=.regions.'):
        build(head=dict(truth='everywhere'))
    with pytest.raises(UserError, match='criterion "unsure"'):
        build(labeller=dict(type='mmleuk.CalibratedLabeller', num_classes=3), **FULL)
    with pytest.raises(UserError, match="'both', got 'nobody'"):
        build(asks='nobody')
    with pytest.raises(UserError, match='pseudo_mean'):
        build(pseudo_mean='both')


def test_shared_mean_divides_by_what_the_labels_divide_by():
    own, shared = ({}, {})
    for mean, found in (('own', own), ('shared', shared)):
        model = build(pseudo_mean=mean)
        confident(model, LABEL)
        found.update(model.loss(images(), batch()))
    assert 0 < shared['loss_pseudo_obj'] < 0.2 * own['loss_pseudo_obj']
    assert all(torch.equal(own[name], shared[name]) for name in own if name != 'loss_pseudo_obj')


def test_what_an_ignored_box_shows_is_no_pseudo_label():
    model = build(**FULL)
    confident(model, LABEL, UNSURE)
    crowded = batch()
    for each in crowded:
        each.ignored_instances = InstanceData(bboxes=torch.tensor([[64., 64., 128., 128.]]), labels=torch.tensor([0]))
    model.loss(images(), batch())
    assert count(model)['kept'] == 1
    model.loss(images(), crowded)
    assert count(model)['kept'] == 0


def test_fate_of_planted_predictions():
    model = build(**FULL)
    confident(model, LABEL, UNSURE, INSIDE)
    losses = model.loss(images(), batch())
    assert count(model) == dict(confidence=0, area=0, unsure=1, entropy=0, kept=1)
    found = model.last_judged[0]
    kept, unsure = (model.labeller.group(found, name) for name in ('kept', 'unsure'))
    # row 6, column 6: centre 104, 104; anchor 30 x 61
    assert kept.bboxes.tolist() == [pytest.approx([89., 73.5, 119., 134.5])]
    assert kept.labels.tolist() == [1] and unsure.labels.tolist() == [0]
    assert kept.source.tolist() == [1] and kept.weight.tolist() == [1] and unsure.weight.tolist() == [0]
    assert all(losses[name] > 0 for name in PSEUDO) and torch.isfinite(losses['loss_triplet'])
    model.labeller.min_area = 30. * 61.
    model.loss(images(), batch())
    assert count(model)['area'] == 2


def test_pseudo_loss_touches_its_positives_alone():
    model = build(**FULL)
    raw = confident(model, LABEL)
    losses = model.loss(images(), batch())
    sum(losses[name] for name in PSEUDO).backward()
    head = model.detector.bbox_head
    planted = BatchCells(image=torch.tensor([0]), label=torch.tensor([1]), boxes=torch.tensor([[104., 104., 30., 61.]]))
    positives = head.assign(planted, head.per_anchor(raw))
    for o, a in zip(raw, positives):
        grad = o.grad.unflatten(1, (3, -1)).permute(0, 1, 3, 4, 2).clone()
        assert (grad[a.image, a.anchor, a.row, a.column].abs().sum(-1) > 0).all()
        grad[a.image, a.anchor, a.row, a.column] = 0
        assert (grad == 0).all()


def test_without_pseudo_labels_same_keys_zero_and_all_gradients():
    """Distributed training needs the same graph on every process, whatever each believes."""
    model = build(**FULL)
    losses = model.loss(images(), batch())
    assert set(losses) == PLAIN | PSEUDO | {'loss_triplet'}
    assert sum(count(model).values()) == 0
    assert all(losses[name] == 0 and losses[name].requires_grad for name in PSEUDO | {'loss_triplet'})
    sum(losses.values()).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize('places', [(), (LABEL, UNSURE)])
@pytest.mark.parametrize('region', [(0., 0., 60., 60.), ()])
def test_batch_without_any_cell(places, region):
    model = build(**FULL)
    confident(model, *places)
    losses = model.loss(images(), [sample(region=region)] * 2)
    assert losses['loss_triplet'] == 0 and all(torch.isfinite(v) for v in losses.values())
    sum(losses.values()).backward()
    assert all(p.grad is not None for p in model.parameters())


def test_what_was_judged_is_forgotten_when_the_terms_rest():
    model = build(**FULL)
    model.loss(images(), batch())
    model.activity.pseudo = model.activity.triplet = False
    model.loss(images(), batch())
    assert model.last_judged is None


def test_loss_twice_is_the_same():
    model = build(**FULL).eval()
    confident(model, LABEL, UNSURE)
    first, second = model.loss(images(), batch()), model.loss(images(), batch())
    assert all(torch.equal(first[k], second[k]) for k in first)


def test_prediction_works_as_in_any_detector():
    model = build(**FULL).eval()
    confident(model, LABEL)
    with torch.no_grad():
        pred = model.predict(images(), batch())[0].pred_instances
    assert pred.labels[0] == 1 and pred.scores[0] > 0.99
