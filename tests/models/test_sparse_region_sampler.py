"""Background outside the annotated regions is ignored before sampling; labelled cells count wherever they lie."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmdet.models.task_modules.assigners import AssignResult
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.structures import DetDataSample
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from mmleuk.errors import UserError
from mmleuk.models.task_modules.sparse_region_sampler import ignore_unknown_background, prior_centres

LEFT = torch.tensor([[0.0, 0.0, 32.0, 64.0]])
NOWHERE = torch.zeros(0, 4)
RANDOM = dict(type='mmleuk.SparseRegionSampler', num=8, pos_fraction=0.5, add_gt_as_proposals=False)
PSEUDO = dict(type='mmleuk.SparseRegionSampler', sampler=dict(type='PseudoSampler'))


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmdet')


def cells(regions=LEFT, boxes=((4.0, 4.0, 20.0, 20.0),), labels=None):
    found = InstanceData(bboxes=torch.tensor(boxes).reshape(-1, 4), labels=torch.zeros(len(boxes), dtype=torch.long))
    if regions is not None:
        found.set_metainfo(dict(annotated_regions=regions))
    return found


def assigned(*gt_inds):
    inds = torch.tensor(gt_inds)
    return AssignResult(1, inds, torch.zeros(len(inds)), torch.zeros(len(inds), dtype=torch.long))


def priors(*centres):
    points = torch.tensor(centres)
    return InstanceData(priors=torch.cat([points - 2, points + 2], 1))


# ------------------------------------------------------------------ pure functions


def test_background_is_ignored_where_nothing_is_known():
    """Worked by hand: background inside, outside, on the border; a cell's priors and ignored ones on both sides."""
    gt_inds = torch.tensor([0, 0, 0, 1, 1, -1, -1])
    centres = torch.tensor([[5.0, 5], [40, 5], [32, 64], [5, 5], [40, 5], [5, 5], [40, 5]])
    left, nowhere = dict(annotated_regions=LEFT), dict(annotated_regions=NOWHERE)
    assert ignore_unknown_background(gt_inds, centres, left).tolist() == [0, -1, 0, 1, 1, -1, -1]
    assert ignore_unknown_background(gt_inds, centres, nowhere).tolist() == [-1, -1, -1, 1, 1, -1, -1]
    assert gt_inds.tolist() == [0, 0, 0, 1, 1, -1, -1]


def test_no_background_under_ignored_boxes():
    """What a labeller set aside: inside a region, and no background; a labelled cell there still counts."""
    centres = torch.tensor([[1., 1.], [5., 5.], [5., 5.]])
    known = dict(annotated_regions=torch.tensor([[0., 0., 9., 9.]]), ignored_boxes=torch.tensor([[4., 4., 6., 6.]]))
    assert ignore_unknown_background(torch.tensor([0, 0, 1]), centres, known).tolist() == [0, -1, 1]


def test_several_regions():
    regions = torch.cat([LEFT, torch.tensor([[60.0, 0, 64, 64]])])
    centres = torch.tensor([[5.0, 5], [40, 5], [62, 5]])
    both = dict(annotated_regions=regions)
    assert ignore_unknown_background(torch.zeros(3, dtype=torch.long), centres, both).tolist() == [0, -1, 0]


def test_centres_of_boxes_and_points():
    assert prior_centres(torch.tensor([[2.0, 4, 6, 6]])).tolist() == [[4, 5]]
    assert prior_centres(torch.tensor([[2.0, 4]])).tolist() == [[2, 4]]
    assert prior_centres(torch.tensor([[2.0, 4, 8]])).tolist() == [[2, 4]]
    assert prior_centres(torch.zeros(0, 4)).shape == (0, 2)


def test_points_with_strides_are_not_taken_for_boxes():
    with pytest.raises(UserError, match='not xyxy boxes'):
        prior_centres(torch.tensor([[100.0, 100, 8, 8]]))


# ------------------------------------------------------------------ sampling


def test_samples_come_from_known_places_alone():
    """Of three background priors one lies inside; the cell's prior lies outside and stays."""
    sampler = TASK_UTILS.build(RANDOM)
    result = sampler.sample(assigned(0, 0, 0, 1), priors((5.0, 5.0), (40.0, 5.0), (50.0, 5.0), (60.0, 5.0)), cells())
    assert result.neg_inds.tolist() == [0]
    assert result.pos_inds.tolist() == [3]
    assert result.avg_factor == 2


@given(st.integers(0, 2**32 - 1))
def test_a_full_quota_of_negatives_lies_inside(seed):
    """Ignoring before sampling leaves the quota to known places; with many of them it is filled."""
    draw = torch.Generator().manual_seed(seed)
    boxes = (torch.rand(200, 2, generator=draw) * 64).repeat(1, 2) + torch.tensor([-3.0, -3, 3, 3])
    gt_inds = (torch.rand(200, generator=draw) < 0.05).long()
    result = TASK_UTILS.build(RANDOM).sample(assigned(*gt_inds.tolist()), InstanceData(priors=boxes), cells())
    assert (result.neg_priors[:, [0, 2]].mean(1) <= 32).all()
    assert len(result.pos_inds) == min(4, int(gt_inds.sum()))
    assert len(result.pos_inds) + len(result.neg_inds) == 8


def test_the_assignment_stays_as_it_is():
    """Heads use it after sampling (FSAF's shadowed labels); a second call gives the same."""
    sampler = TASK_UTILS.build(PSEUDO)
    assignment = assigned(0, 0, 1)
    assignment.set_extra_property('shadowed_labels', torch.tensor([[0, 1]]))
    where = priors((5.0, 5.0), (40.0, 5.0), (60.0, 5.0))
    first = sampler.sample(assignment, where, cells())
    second = sampler.sample(assignment, where, cells())
    assert assignment.gt_inds.tolist() == [0, 0, 1]
    assert first.neg_inds.tolist() == second.neg_inds.tolist() == [0]
    assert first.pos_inds.tolist() == second.pos_inds.tolist() == [2]


def test_ground_truth_as_proposals_stays_outside_too():
    """A labelled cell may reach over the border; its box is a proposal all the same."""
    sampler = TASK_UTILS.build(RANDOM | dict(add_gt_as_proposals=True))
    result = sampler.sample(assigned(0, 0), priors((5.0, 5.0), (40.0, 5.0)), cells(boxes=((30.0, 0.0, 60.0, 20.0),)))
    assert result.pos_is_gt.tolist() == [1]
    assert result.neg_priors.tolist() == [[3, 3, 7, 7]]


@pytest.mark.parametrize('config', [RANDOM, PSEUDO], ids=['random', 'pseudo'])
def test_where_nothing_is_known_nothing_counts(config):
    result = TASK_UTILS.build(config).sample(assigned(0, 0), priors((5.0, 5.0), (40.0, 5.0)), cells(NOWHERE, ()))
    assert len(result.pos_inds) == len(result.neg_inds) == result.avg_factor == 0


def test_a_sample_without_regions_raises():
    with pytest.raises(UserError, match='carries no annotated_regions'):
        TASK_UTILS.build(RANDOM).sample(assigned(0), priors((5.0, 5.0)), cells(regions=None))


@pytest.mark.parametrize('options', [{}, dict(num=8), dict(sampler=dict(type='PseudoSampler'), num=8, pos_fraction=1)])
def test_either_a_sampler_or_its_numbers(options):
    with pytest.raises(UserError, match='either sampler'):
        TASK_UTILS.build(dict(type='mmleuk.SparseRegionSampler') | options)


def test_the_inner_sampler_gets_the_head():
    """OHEMSampler needs the RoI head that it serves."""
    head = torch.nn.Module()
    head.bbox_head = torch.nn.Identity()
    inner = dict(type='OHEMSampler', num=8, pos_fraction=0.5)
    built = TASK_UTILS.build(dict(type='mmleuk.SparseRegionSampler', sampler=inner), default_args=dict(context=head))
    assert built.sampler.bbox_head is head.bbox_head


# ------------------------------------------------------------------ dense heads of MMDetection

SHARED = dict(num_classes=2, in_channels=4, feat_channels=4, stacked_convs=1)
MAX_IOU = dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0, ignore_iof_thr=-1)
ANCHORS = dict(type='AnchorGenerator', octave_base_scale=2, scales_per_octave=1, ratios=[1.0], strides=[8, 16])
HEADS = dict(
    rpn=(dict(type='RPNHead', in_channels=4, feat_channels=4,
              anchor_generator=dict(type='AnchorGenerator', scales=[2], ratios=[1.0], strides=[8, 16])),
         MAX_IOU, RANDOM | dict(num=64)),
    retina=(dict(type='RetinaHead', anchor_generator=ANCHORS) | SHARED, MAX_IOU, PSEUDO),
    atss=(dict(type='ATSSHead', anchor_generator=ANCHORS, norm_cfg=dict(type='GN', num_groups=2, requires_grad=True),
               loss_centerness=dict(type='CrossEntropyLoss', use_sigmoid=True)) | SHARED,
          dict(type='ATSSAssigner', topk=9), PSEUDO),
    fsaf=(dict(type='FSAFHead', reg_decoded_bbox=True, anchor_generator=ANCHORS,
               bbox_coder=dict(type='TBLRBBoxCoder', normalizer=4.0),
               loss_cls=dict(type='FocalLoss', use_sigmoid=True, reduction='none'),
               loss_bbox=dict(type='IoULoss', eps=1e-6, reduction='none')) | SHARED,
          dict(type='CenterRegionAssigner', pos_scale=0.2, neg_scale=0.2, min_pos_iof=0.01), PSEUDO),
)


def make_head(name):
    config, assigner, sampler = HEADS[name]
    head = MODELS.build(config | dict(train_cfg=dict(
        assigner=assigner, sampler=sampler, allowed_border=-1, pos_weight=-1, debug=False)))
    head.init_weights()
    return head


def losses_of(head, instances, features):
    """Losses of a batch and the head's classification maps, which keep their gradient."""
    samples = [DetDataSample(gt_instances=i, metainfo=dict(img_shape=(64, 64), pad_shape=(64, 64))) for i in instances]
    outputs = head(features)
    for score in outputs[0]:
        score.retain_grad()
    ground_truth = [sample.gt_instances for sample in samples]
    losses = head.loss_by_feat(*outputs, ground_truth, [sample.metainfo for sample in samples])
    total = sum(sum(value) if isinstance(value, list) else value for name, value in losses.items() if 'loss' in name)
    return total, outputs[0]


def features_of(batch_size):
    draw = torch.Generator().manual_seed(1)
    one = [torch.randn(1, 4, size, size, generator=draw) for size in (8, 4)]
    return [level.expand(batch_size, -1, -1, -1) for level in one]


@pytest.mark.parametrize('name', HEADS)
def test_background_outside_gets_no_gradient(name):
    """Without a cell every gradient lies at places inside the region, and there is some."""
    head = make_head(name)
    total, scores = losses_of(head, [cells(boxes=())], features_of(1))
    total.backward()
    for stride, score in zip((8, 16), scores):
        columns = score.grad[0].abs().sum((0, 1))
        known = torch.arange(len(columns)) * stride <= 32  # mmdet's anchors stand on the corners of the grid
        assert (columns[known] > 0).all()
        assert (columns[~known] == 0).all()


@pytest.mark.parametrize('name', HEADS)
def test_a_cell_outside_every_region_is_learnt(name):
    """It is labelled, so it is known; the background around it isn't."""
    head = make_head(name)
    total, scores = losses_of(head, [cells(NOWHERE, ((36.0, 20.0, 52.0, 36.0),))], features_of(1))
    total.backward()
    places = sum(int((score.grad.abs().sum(1) > 0).sum()) for score in scores)
    assert 1 <= places <= 9  # its positives alone


@pytest.mark.parametrize('name', HEADS)
def test_an_image_of_unknown_content_is_in_no_average(name):
    """Beside it the loss of a known image is the same as without it."""
    head = make_head(name)
    alone, _ = losses_of(head, [cells()], features_of(1))
    beside, _ = losses_of(head, [cells(), cells(NOWHERE, ())], features_of(2))
    torch.testing.assert_close(alone, beside)


@pytest.mark.parametrize('name', HEADS)
def test_a_batch_of_unknown_content_teaches_nothing(name):
    head = make_head(name)
    total, _ = losses_of(head, [cells(NOWHERE, ())] * 2, features_of(2))
    total.backward()
    assert total == 0
    assert all(p.grad is None or not p.grad.any() for p in head.parameters())


@pytest.mark.parametrize('name', ['retina', 'atss', 'fsaf'])
def test_ignored_anchors_have_no_weight(name):
    head = make_head(name)
    instances, meta = cells(), dict(img_shape=(64, 64), pad_shape=(64, 64))
    anchors, valid = head.get_anchors([(8, 8), (4, 4)], [meta], device='cpu')
    flat, flags = torch.cat(anchors[0]), torch.cat(valid[0])
    if name == 'atss':
        _, labels, weights, *_ = head._get_targets_single(flat, flags, [64, 16], instances, meta)
    else:
        labels, weights, *_ = head._get_targets_single(flat, flags, instances, meta)
    outside = (flat[:, 0] + flat[:, 2]) / 2 > 32
    background = labels == head.num_classes
    per_anchor = weights.reshape(len(flat), -1).sum(1)
    assert (per_anchor[outside & background] == 0).all()
    assert (per_anchor[~outside & background] > 0).all()
    assert (per_anchor[~background] > 0).all() and (~background).any()
