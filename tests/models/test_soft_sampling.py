import itertools
import math

import pytest
import torch
from mmdet.models.task_modules import AssignResult, SamplingResult
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

from mmleuk.models.dense_heads.soft_sampling_head import SoftSamplingYOLOv5Head
from mmleuk.models.dense_heads.yolov5_head import YOLOv5Head
from mmleuk.models.losses.soft_sampling import soft_sampling_weights
from mmleuk.models.losses.yolov5_loss import level_losses
from mmleuk.models.roi_heads.soft_sampling_head import SoftSamplingBBoxHead
from mmleuk.models.task_modules.yolov5_assigner import BatchCells

C = 3
CELLS = [[3., 5., 20., 27.], [30., 30., 50., 44.]]


def head(kind=SoftSamplingYOLOv5Head, **options):
    return kind(num_classes=C, in_channels=(4, 4, 4), image_size=64, **options)


def outputs(batch=2):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(batch, 3 * (5 + C), n, n, generator=generator) for n in (8, 4, 2)]


def instances(*boxes):
    return InstanceData(bboxes=torch.tensor(boxes).view(-1, 4), labels=torch.zeros(len(boxes), dtype=torch.long))


METAS = [dict(annotated_regions=torch.tensor([[0., 0., 32., 32.]])), dict(annotated_regions=torch.zeros(0, 4))]


def iou(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0) * max(height, 0)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def test_weights_by_hand():
    weights = soft_sampling_weights(torch.tensor([0., 0.1, 0.2, 0.3, 0.499, 0.5, 1.]))
    assert weights.tolist() == pytest.approx([0.25, 0.251, 0.55, 0.912, 0.998, 1, 1], abs=1e-3)


@pytest.mark.parametrize('truth', ['everywhere', 'regions'])
def test_objectness_loses_what_the_loop_says(truth):
    model = head(truth=truth)
    logits = model.per_anchor(outputs())
    cells = BatchCells.from_instances([instances(*CELLS), instances()])
    assigned = model.assign(cells, logits)
    known = model.known_background(logits, METAS)
    weights = model.weigh_background(known, logits, cells)
    for level, a, weight, grid, boxes in zip(logits, assigned, weights, known, model.boxes(logits)):
        taken = set(zip(*[t.tolist() for t in (a.image, a.anchor, a.row, a.column)]))
        less, count = 0., len(taken)
        for index in itertools.product(*[range(n) for n in level.shape[:4]]):
            image, _, row, column = index
            if index not in taken and (grid is None or grid[image, row, column]):
                nearest = max(iou(boxes[index].tolist(), cell) for cell in CELLS) if image == 0 else 0.
                no_cell = math.log1p(math.exp(float(level[index][4])))  # the objectness loss there
                less += (1 - soft_sampling_weights(torch.tensor(nearest)).item()) * no_cell
                count += 1
        full, soft = (level_losses(level, a, where).objectness.item() for where in (grid, weight))
        assert soft == pytest.approx(full - less / max(count, 1), rel=1e-4)


def test_without_cells_background_weighs_a_quarter():
    """Far from everything; boxes and classes have no say."""
    empty = [instances(), instances()]
    soft, plain = (head(kind).loss_by_feat(outputs(), empty, METAS) for kind in (SoftSamplingYOLOv5Head, YOLOv5Head))
    assert soft['loss_obj'].item() == pytest.approx(plain['loss_obj'].item() / 4, rel=1e-6)


def test_a_floor_of_one_is_the_plain_head():
    cells = [instances(*CELLS), instances()]
    soft = head(floor=1.).loss_by_feat(outputs(), cells, METAS)
    plain = head(YOLOv5Head).loss_by_feat(outputs(), cells, METAS)
    assert {k: v.item() for k, v in soft.items()} == pytest.approx({k: v.item() for k, v in plain.items()}, rel=1e-6)


def test_the_weight_has_no_gradient():
    """A prediction that learns no cell gets one on its objectness alone."""
    model, raw = head(), [o.requires_grad_() for o in outputs()]
    cells = [instances(*CELLS), instances()]
    sum(model.loss_by_feat(raw, cells, METAS).values()).backward()
    logits = model.per_anchor(raw)
    for level, a in zip(raw, model.assign(BatchCells.from_instances(cells), logits)):
        grad = level.grad.unflatten(1, (3, 5 + C)).clone()
        assert (grad[:, :, 4] != 0).all()
        grad[a.image, a.anchor, :, a.row, a.column] = 0
        assert (grad[:, :, :4] == 0).all()


def test_twice_is_the_same_and_inputs_stay():
    model, raw, cells = head(), outputs(), [instances(*CELLS), instances()]
    first, second = model.loss_by_feat(raw, cells, METAS), model.loss_by_feat(raw, cells, METAS)
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert all(torch.equal(a, b) for a, b in zip(raw, outputs()))


def sampled(priors, gt_inds, truth):
    """A real sampling result: those with a number of a cell, counted from 1, are positives."""
    gt_inds = torch.tensor(gt_inds)
    assigned = AssignResult(len(truth), gt_inds, None, labels=torch.where(gt_inds > 0, 0, -1))
    return SamplingResult((gt_inds > 0).nonzero()[:, 0], (gt_inds == 0).nonzero()[:, 0], torch.tensor(priors),
                          torch.tensor(truth).view(-1, 4), assigned, torch.zeros(len(priors), dtype=torch.uint8))


def test_negative_proposals_by_hand():
    model = SoftSamplingBBoxHead(in_channels=4, fc_out_channels=4, roi_feat_size=1, num_classes=C)
    cell = [0., 0., 10., 10.]
    priors = [cell, [0., 0., 10., 2.], [0., 0., 10., 3.], [50., 50., 60., 60.], [0., 0., 10., 6.], [0., 0., 10., 1.]]
    results = [sampled(priors, [1, 0, 0, 0, 0, 0], [cell]), sampled(priors[:1], [0], [])]
    cfg = ConfigDict(pos_weight=-1)
    labels, weights, *_ = model.get_targets(results, cfg)
    assert labels.tolist() == [0, *[C] * 6]
    assert weights.tolist() == pytest.approx([1, 0.55, 0.91, 0.25, 1, 0.25, 0.25], abs=0.005)
    assert [len(w) for w in model.get_targets(results, cfg, concat=False)[1]] == [6, 1]
