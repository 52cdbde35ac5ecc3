"""SparseDet: pseudo-positive mining, two views, and what each of them learns from."""

from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from mmleuk.errors import UserError
from mmleuk.models.data_preprocessors.weak_strong import (
    WeakStrongDataPreprocessor,
    change_colours,
    erased_rectangle,
    strong_view,
)
from mmleuk.models.labellers import ObjectnessLabeller
from mmleuk.models.labellers.base import suppress
from mmleuk.testing import detector_contract as contract

CONFIG = Path(__file__).resolve().parents[2] / 'configs/sparse_det/sparse-det_r18_txl-pbc.py'
ROW = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 2, 10], [20, 0, 30, 10], [40, 0, 50, 10]])
"""Boxes whose IoU with the first is 1, 0.5, 0.2, 0 and 0."""


def instances(boxes, labels=None, scores=None):
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    found = InstanceData(bboxes=boxes, labels=torch.tensor(labels or [0] * len(boxes), dtype=torch.long))
    if scores is not None:
        found.scores = torch.tensor(scores, dtype=torch.float32)
    return found


# ------------------------------------------------------------------ mining


def mine(boxes, objectness, cells):
    """Which proposals are set aside."""
    found = InstanceData(bboxes=boxes, scores=objectness)
    labeller = ObjectnessLabeller(min_objectness=0.8, max_iou=0.2)
    answer = labeller.select(found, InstanceData(bboxes=cells), torch.zeros(0, 4))
    assert labeller.count([answer])['set_aside'] == answer.ignored.sum() and not answer.weight.any()
    return answer.ignored


def test_mined_proposals_are_confident_and_far_from_every_cell():
    """By hand: an IoU of exactly 0.2 is still far; an objectness of exactly 0.8 is too low."""
    objectness = torch.tensor([0.9, 0.9, 0.9, 0.9, 0.8])
    mined = mine(ROW, objectness, ROW[:1])
    assert mined.tolist() == [False, False, True, True, False]
    near_either = mine(ROW, objectness, ROW[[0, 3]])
    assert near_either.tolist() == [False, False, True, False, False]


def test_without_a_cell_objectness_decides():
    objectness = torch.tensor([0.9, 0.5, 0.85, 0.8, 0.1])
    mined = mine(ROW, objectness, torch.zeros(0, 4))
    assert mined.tolist() == [True, False, True, False, False]
    none = mine(ROW[:0], objectness[:0], ROW)
    assert none.shape == (0,)


def test_mined_proposals_are_thinned_out():
    """The first and the second overlap by 0.5, the better one stays; an IoU of 0.2 is no reason."""
    found = InstanceData(bboxes=ROW, scores=torch.tensor([0.85, 0.9, 0.81, 0.82, 0.83]))
    assert sorted(suppress(found, 0.3).bboxes.tolist()) == sorted(ROW[1:].tolist())
    assert suppress(found[:0], 0.3).bboxes.shape == (0, 4)


def labels_of_strong_view(detector, cells, *detections, ignored=None):
    """Labels of one image's strong view when the weak one shows detections, each (box, label, score)."""
    boxes, labels, scores = zip(*detections) if detections else ([], [], [])
    detector.roi_head.predict_bbox = lambda *args: [instances(boxes, list(labels), scores)]
    sample = DetDataSample(gt_instances=cells, **({} if ignored is None else dict(ignored_instances=ignored)))
    stronger, = detector.stronger_labels([], [], [sample])
    assert sample.gt_instances is cells
    return stronger.gt_instances


def test_confident_detections_join_the_labelled_cells(detector):
    """By hand: on a labelled cell; on it, of another class; alone."""
    cells = instances([ROW[0].tolist()], [1])
    cells.set_metainfo(dict(annotated_regions='kept'))
    joined = labels_of_strong_view(detector, cells, ([0, 0, 10, 9], 1, 0.95), ([0, 0, 10, 9], 2, 0.95),
                                   ([20, 0, 30, 10], 1, 0.99))
    assert joined.bboxes.tolist() == [[0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10]]
    assert joined.labels.tolist() == [1, 2, 1] and joined.annotated_regions == 'kept'


def test_labelled_cells_that_overlap_all_stay(detector):
    cells = instances([[0, 0, 10, 10], [0, 0, 10, 9]], [1, 1])
    assert len(labels_of_strong_view(detector, cells, ([40, 0, 50, 10], 1, 0.95))) == 3
    assert len(labels_of_strong_view(detector, cells)) == 2 and len(labels_of_strong_view(detector, cells[:0])) == 0


def test_every_labelled_cell_keeps_detections_away(detector):
    """By hand: the cells' IoU is 7.5 / 12.5 = 0.6, the detection's 0.6 with the second and 5 / 15 with the first."""
    cells = instances([[0, 0, 10, 10], [2.5, 0, 12.5, 10]], [1, 1])
    joined = labels_of_strong_view(detector, cells, ([5, 0, 15, 10], 1, 0.95))
    assert joined.bboxes.tolist() == cells.bboxes.tolist() and joined.labels.tolist() == [1, 1]


def test_what_becomes_no_label_of_the_strong_view(detector):
    """A detection that is cut to nothing, and one under an ignored cell."""
    found = ([40, 0, 40, 10], 1, 0.95), ([60, 0, 70, 10], 1, 0.95), ([80, 0, 90, 10], 1, 0.95)
    joined = labels_of_strong_view(detector, instances([]), *found, ignored=instances([[58, 0, 72, 10]]))
    assert joined.bboxes.tolist() == [[80, 0, 90, 10]]


# ------------------------------------------------------------------ views


def test_colours_by_hand():
    """One pixel of 10, 20 and 30: mean 20, brightness 0.114 * 10 + 0.587 * 20 + 0.299 * 30 = 21.85."""
    image = torch.tensor([10.0, 20, 30]).reshape(3, 1, 1)
    assert change_colours(image, 1, 1, 1).flatten().tolist() == pytest.approx([10, 20, 30])
    assert change_colours(image, 0.5, 1, 1).flatten().tolist() == pytest.approx([15, 20, 25])
    assert change_colours(image, 1, 2, 1).flatten().tolist() == pytest.approx([20, 40, 60])
    assert change_colours(image, 1, 1, 0).flatten().tolist() == pytest.approx([21.85] * 3)
    assert change_colours(image, 1, 1, 0.5).flatten().tolist() == pytest.approx([15.925, 20.925, 25.925])


@pytest.mark.parametrize('aspect', [0.01, 0.3, 1.0, 3.3, 100.0])
@pytest.mark.parametrize('place', [0.0, 0.4, 1.0])
def test_the_erased_rectangle_lies_in_its_box(aspect, place):
    box = torch.tensor([100.0, 50, 300, 110])
    left, top, right, bottom = erased_rectangle(box, 0.5, aspect, place, 1 - place)
    assert 100 <= left < right <= 300 and 50 <= top < bottom <= 110
    assert (right - left) * (bottom - top) == pytest.approx(0.5 * 200 * 60, rel=0.05)


def test_the_strong_view_erases_one_piece():
    image = torch.full((3, 64, 64), 200, dtype=torch.uint8)
    draw = torch.Generator().manual_seed(1)
    changed = strong_view(image, torch.tensor([16.0, 16, 48, 48]), (0.4, 0.7), draw)
    black = (changed == 0).all(0)
    assert 0.38 < black.sum() / 32**2 < 0.72
    assert not black[:16].any() and not black[:, 48:].any()
    assert (image == 200).all() and changed.dtype == torch.uint8
    assert not (strong_view(image, None, (0.4, 0.7), draw) == 0).any()


def test_batches_hold_every_image_twice():
    preprocessor = WeakStrongDataPreprocessor(mean=[0.0] * 3, std=[1.0] * 3, pad_size_divisor=32)
    batch = contract.make_batch(([contract.CELL], contract.EVERYWHERE), ([], contract.EVERYWHERE))
    first = preprocessor(batch, training=True)
    assert first['inputs'].shape == (4, 3, 128, 128) and len(first['data_samples']) == 2
    torch.testing.assert_close(first['inputs'][:2], torch.stack(batch['inputs']).float())
    assert not torch.equal(first['inputs'][:2], first['inputs'][2:])
    assert not torch.equal(first['inputs'], preprocessor(batch, training=True)['inputs'])


def test_views_in_testing_depend_on_the_image_alone():
    preprocessor = WeakStrongDataPreprocessor()
    batch = contract.make_batch(([], contract.EVERYWHERE), ([], contract.EVERYWHERE))
    both = preprocessor(batch)['inputs']
    second = preprocessor({key: value[1:] for key, value in batch.items()})['inputs']
    assert torch.equal(both[[1, 3]], second)


# ------------------------------------------------------------------ the detector


@pytest.fixture()
def detector():
    init_default_scope('mmdet')
    return contract.build_detector(CONFIG)


@pytest.fixture()
def progress():
    """Set how far a training has come, as RuntimeInfoHook does."""
    hub = MessageHub.get_current_instance()

    def set_iteration(iteration, max_iters=10):
        hub.update_info('iter', iteration)
        hub.update_info('max_iters', max_iters)
    yield set_iteration
    set_iteration(0, 1)


def proposals():
    return [instances(ROW.tolist(), scores=[0.9] * 5), instances([[0, 0, 10, 10]], scores=[0.5])]


def test_mining_starts_with_the_second_half(detector, progress):
    cells = [instances([ROW[0].tolist()]), instances([])]
    progress(4)
    remaining, mined = detector.set_aside(proposals(), cells)
    assert [len(found) for found in remaining] == [5, 1] and [len(boxes) for boxes in mined] == [0, 0]
    progress(5)
    remaining, mined = detector.set_aside(proposals(), cells)
    assert [len(found) for found in remaining] == [2, 1]
    assert sorted(mined[0].tolist()) == sorted(ROW[2:].tolist()) and mined[1].shape == (0, 4)


def test_both_views_features_of_mined_boxes_learn(detector):
    features = [torch.randn(2, 64, size, size) for size in (16, 8, 4, 2)]
    weak, strong = ([level.clone().requires_grad_() for level in features] for _ in range(2))
    mined = [torch.tensor([[20.0, 20, 60, 60]]), torch.zeros(0, 4)]
    assert detector.consistency(weak, strong, mined) == 0
    loss = detector.consistency(weak, [level + 1 for level in strong], mined)
    assert loss > 0
    loss.backward()
    assert weak[0].grad[0].any() and strong[0].grad[0].any() and not weak[0].grad[1].any()
    assert detector.consistency(weak, strong, [boxes[:0] for boxes in mined]) == 0


def test_the_rpn_learns_from_images_with_a_cell(detector):
    """An image without one changes nothing; without any there is no loss."""
    contract.freeze_statistics(detector)
    cell, none = ([contract.CELL], contract.EVERYWHERE), ([], contract.EVERYWHERE)

    def rpn_loss(*images):
        data = detector.data_preprocessor(contract.make_batch(*images), False)
        torch.manual_seed(0)
        common = detector.views(data['inputs'], len(images))[2]
        return detector.rpn_losses(common, data['data_samples'])[0]
    alone, beside = rpn_loss(cell), rpn_loss(cell, none)
    for name in ('loss_rpn_cls', 'loss_rpn_bbox'):
        torch.testing.assert_close(sum(alone[name]), sum(beside[name]), rtol=1e-4, atol=1e-6)
        assert rpn_loss(none)[name] == 0


def test_losses_of_a_batch(detector, progress):
    progress(9)
    detector.miner.min_objectness = 0.4  # an untrained RPN has only low scores
    data = detector.data_preprocessor(
        contract.make_batch(([contract.CELL], contract.EVERYWHERE), ([], contract.EVERYWHERE)), True)
    losses = detector.loss(data['inputs'], data['data_samples'])
    assert {'loss_rpn_cls', 'loss_rpn_bbox', 'weak.loss_cls', 'weak.loss_bbox', 'strong.loss_cls', 'strong.loss_bbox',
            'loss_consistency'} <= set(losses)
    assert losses['loss_consistency'] > 0
    detector.parse_losses(losses)[0].backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in detector.parameters())
    assert [len(sample.gt_instances) for sample in data['data_samples']] == [1, 0]


def test_no_cell_at_all(detector):
    gradients = contract.gradients_of(detector, contract.make_batch(([], contract.EVERYWHERE)))
    assert not any(gradient.any() for gradient in gradients.values())
    unused = [name for name, parameter in detector.named_parameters() if parameter.grad is None]
    assert not unused, 'distributed training waits for a gradient of every parameter'


def test_predictions_and_raw_outputs(detector):
    batch = contract.make_batch(([], contract.EVERYWHERE), ([], contract.EVERYWHERE))
    first, second = contract.predict(detector, batch), contract.predict(detector, batch)
    for one, other in zip(first, second):
        assert torch.equal(one.pred_instances.bboxes, other.pred_instances.bboxes)
        assert len(one.pred_instances)
    data = detector.data_preprocessor(batch)
    assert len(detector(data['inputs'], data['data_samples'], mode='tensor')) == 1


def test_one_view_is_refused(detector):
    data = detector.data_preprocessor(contract.make_batch(([], contract.EVERYWHERE)), True)
    with pytest.raises(UserError, match='needs two views'):
        detector.loss(data['inputs'][:1], data['data_samples'])


def test_a_narrow_rpn_is_refused():
    init_default_scope('mmdet')
    model = Config.fromfile(str(CONFIG)).model
    model.rpn_head.in_channels = 64
    with pytest.raises(UserError, match='in_channels=128'):
        MODELS.build(model)


@pytest.mark.slow
def test_attributes_from_the_weak_views():
    """AttriDet's taps see both views; boxes of the first B images are looked at."""
    init_default_scope('mmdet')
    contract.check_attributes_are_predicted(contract.build_detector(CONFIG, attributes=True))
