"""In training the RPN's proposals come from where something is known; its losses and its prediction are RPNHead's."""

from copy import deepcopy
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from mmleuk.engine.optim_wrapper import AmpOptimWrapper
from mmleuk.errors import UserError
from mmleuk.utils.config_file import read_config

CONFIG = Path(__file__).parents[2] / 'configs/faster_rcnn/faster-rcnn_r18_region-proposals_txl-pbc.py'
SIZE = 128
SIZES = [(16, 16), (8, 8), (4, 4), (2, 2)]  # of strides 8 to 64
LEFT, ALL = (0, 0, SIZE / 2, SIZE), (0, 0, SIZE, SIZE)
CELL = (96, 96, 112, 112)


def detector(**rpn):
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = deepcopy(read_config(CONFIG).model)
    model.rpn_head.update(rpn)
    return MODELS.build(model | dict(data_preprocessor=None))


@lru_cache
def rpn():
    return detector().rpn_head


def sample(*regions, cells=(), **more):
    sample = DetDataSample(metainfo=dict(img_shape=(SIZE, SIZE), pad_shape=(SIZE, SIZE), img_id=0,
                                         batch_input_shape=(SIZE, SIZE), scale_factor=(1.0, 1.0)))
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor(cells, dtype=torch.float32).reshape(-1, 4), labels=torch.zeros(len(cells)).long(),
        metainfo=dict(annotated_regions=torch.tensor(regions, dtype=torch.float32).reshape(-1, 4), **more))
    return sample


def images(count):
    return torch.randn(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def proposals(model, *samples):
    """Losses and proposals of the RPN in training."""
    maps = model.extract_feat(images(len(samples)))
    torch.manual_seed(0)  # for the sampler
    return model.rpn_head.loss_and_predict(maps, list(samples), model.train_cfg.rpn_proposal)


def centres(found):
    return (found.bboxes[:, :2] + found.bboxes[:, 2:]) / 2


def test_proposals_come_from_the_regions_and_labelled_cells():
    model = detector()
    for weights in model.rpn_head.rpn_reg.parameters():  # proposals are anchors, cut at the border
        torch.nn.init.zeros_(weights)
    _, found = proposals(model, sample(LEFT), sample(LEFT, cells=[CELL]))
    assert (centres(found[0])[:, 0] <= SIZE / 2 + 0.01).all() and len(found[0]) > 50
    right = centres(found[1])[centres(found[1])[:, 0] > SIZE / 2]
    assert len(right) > 10 and (right <= CELL[2] + 0.01).all()
    assert (right >= CELL[0]).any(0).all(), 'anchors that do not reach the border are not cut'


@given(st.lists(st.tuples(*[st.integers(-1, SIZE).map(lambda side: side + 0.5)] * 4), max_size=3), st.booleans())
@settings(max_examples=20, deadline=None)
def test_known_anchors_one_by_one(regions, with_cell):
    near = [(95.5, 95.5, 112.5, 112.5)] if with_cell else []  # away from the anchors' centres
    found = rpn().known_anchors(SIZES, [sample(*regions, cells=near).gt_instances])
    for (height, width), known in zip(SIZES, found, strict=True):
        assert known.shape == (1, 6, height, width)
        stride = SIZE // height
        for row in range(height):
            for column in range(width):
                x, y = column * stride, row * stride
                expected = any(x1 <= x <= x2 and y1 <= y <= y2 for x1, y1, x2, y2 in [*regions, *near])
                assert known[0, :, row, column].tolist() == [expected] * 6


def test_ignored_boxes_give_no_proposals():
    everything = sample(ALL, ignored_boxes=torch.tensor([[0., 0., SIZE, SIZE]]))
    _, found = proposals(detector(), everything)
    assert len(found[0]) == 0


def test_with_everything_known_it_is_the_rpn_head():
    ours, theirs = detector(), detector(type='RPNHead')
    theirs.load_state_dict(ours.state_dict())
    for one, other in zip(proposals(ours, sample(ALL, cells=[CELL])), proposals(theirs, sample(ALL, cells=[CELL]))):
        if isinstance(one, dict):
            assert {key: torch.stack(value).tolist() for key, value in one.items()} == {
                key: torch.stack(value).tolist() for key, value in other.items()}
        else:
            assert torch.equal(one[0].bboxes, other[0].bboxes) and torch.equal(one[0].scores, other[0].scores)


def test_losses_and_prediction_do_not_change():
    ours, theirs = detector(), detector(type='RPNHead')
    theirs.load_state_dict(ours.state_dict())
    one, other = (proposals(model, sample(LEFT, cells=[CELL]))[0] for model in (ours, theirs))
    assert {key: torch.stack(value).tolist() for key, value in one.items()} == {
        key: torch.stack(value).tolist() for key, value in other.items()}
    found, same = (model.eval().predict(images(1), [sample(LEFT)])[0].pred_instances for model in (ours, theirs))
    assert torch.equal(found.bboxes, same.bboxes) and torch.equal(found.scores, same.scores)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_images_without_anything_known_teach_nothing(dtype):
    model = detector()
    AmpOptimWrapper(optimizer=torch.optim.SGD(model.parameters(), lr=0.1))  # lets mmcv's operators take bfloat16
    with torch.autocast('cpu', dtype, enabled=dtype != torch.float32):
        losses = model.loss(images(2), [sample(), sample()])
    total = sum(torch.stack(value).sum() if isinstance(value, list) else value.sum()
                for key, value in losses.items() if 'loss' in key)
    assert total == 0
    total.backward()


def test_a_labelled_cell_trains_both_stages():
    model = detector()
    losses = model.loss(images(2), [sample(LEFT, cells=[(20, 20, 50, 50)]), sample()])
    sum(torch.stack(value).sum() if isinstance(value, list) else value.sum()
        for key, value in losses.items() if 'loss' in key).backward()
    for weight in (model.rpn_head.rpn_cls.weight, model.roi_head.bbox_head.fc_cls.weight):
        assert weight.grad.abs().sum() > 0


def test_softmax_scores_are_refused():
    with pytest.raises(UserError, match='use_sigmoid=True'):
        detector(loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False))
