"""Heads without a sampler: which predictions are background where nothing is known, by hand."""

from types import SimpleNamespace

import pytest
import torch
from mmdet.models.losses import FocalLoss
from mmdet.models.task_modules.assigners import AssignResult
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from torch.nn.functional import binary_cross_entropy_with_logits

from mmleuk.errors import UserError
from mmleuk.models.dense_heads.sparse_region_heads import find_unknown
from mmleuk.models.losses.known_focal_loss import UNKNOWN, KnownFocalLoss

LEFT = torch.tensor([[0.0, 0.0, 32.0, 64.0]])


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmdet')


def cells(boxes=((36.0, 20.0, 52.0, 36.0),), regions=LEFT):
    found = InstanceData(bboxes=torch.tensor(boxes).reshape(-1, 4), labels=torch.zeros(len(boxes), dtype=torch.long))
    if regions is not None:
        found.set_metainfo(dict(annotated_regions=regions))
    return found


def test_unknown_is_background_outside():
    labels, centres = torch.tensor([0, 2, 2]), torch.tensor([[40.0, 5], [40, 5], [5, 5]])
    assert find_unknown(labels, 2, centres, cells()).tolist() == [False, True, False]
    with pytest.raises(UserError, match='annotated_regions'):
        find_unknown(labels, 2, centres, cells(regions=None))


# ------------------------------------------------------------------ loss


def test_unknown_predictions_are_in_no_term():
    """With gamma 0 and alpha 0.5 it is half of binary cross-entropy; 4 of 6 logits count, divided by 2."""
    loss = KnownFocalLoss(gamma=0.0, alpha=0.5)
    logits = torch.randn(3, 2, requires_grad=True)
    value = loss(logits, torch.tensor([1, UNKNOWN, 2]), avg_factor=2)
    target = torch.tensor([[0.0, 1], [0, 0]])
    expected = 0.5 * binary_cross_entropy_with_logits(logits[[0, 2]], target, reduction='sum') / 2
    torch.testing.assert_close(value, expected)
    value.backward()
    assert not logits.grad[1].any() and logits.grad[[0, 2]].all()


def test_the_average_runs_over_at_least_one():
    loss = KnownFocalLoss()
    logits, labels = torch.randn(3, 2), torch.tensor([2, 2, 2])
    torch.testing.assert_close(loss(logits, labels, avg_factor=0), loss(logits, labels, avg_factor=1))
    torch.testing.assert_close(loss(logits, labels, avg_factor=torch.tensor(4.0)), loss(logits, labels, avg_factor=4))
    assert loss(logits, torch.full((3,), UNKNOWN), avg_factor=0) == 0
    weights = torch.tensor([1.0, 0, 0])
    torch.testing.assert_close(loss(logits, labels, weights, avg_factor=1), loss(logits[:1], labels[:1], avg_factor=1))


def test_a_plain_mean_is_over_known_predictions():
    """Without a factor, MMDetection's own on the known rows alone; nothing known is 0, and a sum stays a sum."""
    logits, labels = torch.randn(4, 3), torch.tensor([1, UNKNOWN, 3, UNKNOWN])
    known = labels >= 0
    torch.testing.assert_close(KnownFocalLoss()(logits, labels), FocalLoss()(logits[known], labels[known]))
    assert KnownFocalLoss()(logits, torch.full((4,), UNKNOWN)) == 0
    torch.testing.assert_close(KnownFocalLoss()(logits, labels, reduction_override='sum'),
                               FocalLoss()(logits[known], labels[known], reduction_override='sum'))


# ------------------------------------------------------------------ FCOS


def fcos_head(**options):
    config = dict(type='mmleuk.SparseRegionFCOSHead', num_classes=2, in_channels=4, feat_channels=4, stacked_convs=1,
                  strides=[8], regress_ranges=((-1, 1e8),), norm_cfg=dict(type='GN', num_groups=2),
                  loss_cls=dict(type='mmleuk.KnownFocalLoss'))
    return MODELS.build(config | options)


def test_places_of_a_labelled_cell_count_wherever_they_lie():
    """A row of points at y = 28: inside, inside, in the cell, in the cell, outside of both."""
    points = torch.tensor([[4.0, 28], [28, 28], [44, 28], [50, 28], [60, 28]])
    ranges = torch.tensor([[-1.0, 1e8]]).expand(5, 2)
    labels, boxes = fcos_head()._get_targets_single(cells(), points, ranges, [5])
    assert labels.tolist() == [2, 2, 0, 0, UNKNOWN]
    assert boxes[2].tolist() == [8, 8, 8, 8]
    labels, _ = fcos_head()._get_targets_single(cells(()), points, ranges, [5])
    assert labels.tolist() == [2, 2, UNKNOWN, UNKNOWN, UNKNOWN]


def test_another_loss_is_refused():
    with pytest.raises(UserError, match='KnownFocalLoss'):
        fcos_head(loss_cls=dict(type='FocalLoss'))


# ------------------------------------------------------------------ DINO


@pytest.fixture()
def dino_head():
    return MODELS.build(dict(
        type='mmleuk.SparseRegionDINOHead', num_classes=2, embed_dims=8, num_pred_layer=2, as_two_stage=True,
        loss_cls=dict(type='FocalLoss', use_sigmoid=True), loss_bbox=dict(type='L1Loss'),
        loss_iou=dict(type='GIoULoss'), train_cfg=dict(assigner=dict(
            type='HungarianAssigner', match_costs=[dict(type='BBoxL1Cost', weight=5.0, box_format='xywh')])),
        test_cfg=dict(max_per_img=3)))


def test_unmatched_queries_outside_weigh_nothing(dino_head):
    """Query 0 lies inside, 1 and 2 outside; 1 is the cell's."""
    boxes = torch.tensor([[0.2, 0.5, 0.1, 0.1], [0.69, 0.44, 0.25, 0.25], [0.9, 0.9, 0.1, 0.1]])
    labels, weights, targets, box_weights, positive, negative = dino_head._get_targets_single(
        torch.zeros(3, 2), boxes, cells(), dict(img_shape=(64, 64)))
    assert labels.tolist() == [2, 0, 2] and weights.tolist() == [1, 1, 0]
    assert positive.tolist() == [1] and negative.tolist() == [0]
    assert box_weights[:, 0].tolist() == [0, 1, 0]
    torch.testing.assert_close(targets[1], torch.tensor([44.0, 28, 16, 16]) / 64)


def test_denoising_queries_that_fill_up_weigh_nothing(dino_head):
    """One group of two cells: query 0 and 1 positive, 2 and 3 negative; this image has one cell."""
    meta = dict(num_denoising_queries=4, num_denoising_groups=1)
    labels, weights, _, _, positive, negative = dino_head._get_dn_targets_single(
        cells(), dict(img_shape=(64, 64)), meta)
    assert positive.tolist() == [0] and negative.tolist() == [2]
    assert labels.tolist() == [0, 2, 2, 2] and weights.tolist() == [1, 0, 1, 0]


# ------------------------------------------------------------------ Sparse R-CNN


def sampled(regions=LEFT):
    """Query 0 matched outside, 1 background outside, 2 background inside."""
    boxes = torch.tensor([[36.0, 20, 52, 36], [40, 40, 60, 60], [0, 0, 10, 10]])
    assigned = AssignResult(1, torch.tensor([1, 0, 0]), torch.zeros(3), torch.tensor([0, -1, -1]))
    sampler = TASK_UTILS.build(dict(type='mmleuk.SparseRegionPseudoSampler'))
    return sampler.sample(assigned, InstanceData(priors=boxes), cells(regions=regions))


def dii_head():
    return MODELS.build(dict(
        type='mmleuk.SparseRegionDIIHead', num_classes=2, num_heads=1, in_channels=8, feedforward_channels=8,
        dynamic_conv_cfg=dict(type='DynamicConv', in_channels=8, feat_channels=4, out_channels=8, input_feat_shape=7),
        loss_cls=dict(type='mmleuk.KnownFocalLoss'), loss_iou=dict(type='GIoULoss')))


def test_all_queries_stay_and_unknown_ones_weigh_nothing():
    result = sampled()
    assert result.unknown.tolist() == [False, True, False]
    assert result.pos_inds.tolist() == [0] and result.neg_inds.tolist() == [1, 2]
    labels, weights, boxes, box_weights = dii_head().get_targets([result, sampled(LEFT[:0])], ConfigDict(pos_weight=1))
    assert labels.tolist() == [0, 2, 2] * 2
    assert weights.tolist() == [1, 0, 1, 1, 0, 0]
    assert boxes.shape == box_weights.shape == (6, 4)
    with pytest.raises(UserError, match='annotated_regions'):
        sampled(None)


def test_a_plain_sampler_is_refused():
    with pytest.raises(UserError, match='SparseRegionPseudoSampler'):
        dii_head().get_targets([SimpleNamespace()], ConfigDict(pos_weight=1))


def test_proposals_have_no_negative_size():
    head = MODELS.build(dict(type='mmleuk.EmbeddingRPNHead', num_proposals=2, proposal_feature_channel=4))
    with torch.no_grad():
        head.init_proposal_bboxes.weight.copy_(torch.tensor([[0.5, 0.5, -0.5, 0.25], [0.5, 0.5, 1.0, 1.0]]))
    found, = head.predict([torch.zeros(1, 4, 8, 8)], [DetDataSample(metainfo=dict(img_shape=(64, 32)))])
    assert found.bboxes.tolist() == [[8, 24, 24, 40], [0, 0, 32, 64]]
    found.bboxes.sum().backward()
    assert head.init_proposal_bboxes.weight.grad is not None
