"""Values of the core that only a wrong line changes: each test fails for one edit that other tests let pass."""

import math
from inspect import signature

import numpy as np
import pytest
import torch

from mmleuk.models.losses.asymmetric_loss import AsymmetricLoss, asymmetric_loss, true_probability
from mmleuk.models.losses.triplet_loss import TripletLoss, similarity_extremes
from mmleuk.models.losses.yolov5_loss import complete_iou, level_losses
from mmleuk.models.task_modules.yolov5_assigner import LevelAssignment
from mmleuk.structures import CellBoxes
from mmleuk.structures.regions import boxes_in_sight, clip_regions, drop_empty_regions, intersect_regions
from mmleuk.transforms import RandomAffine


def ciou_with_alpha(first, second, alpha):
    """CIoU of two boxes of one centre in plain numbers, with a given alpha: no distance term."""
    (_, _, w, h), (_, _, W, H) = first, second
    inter = min(w, W) * min(h, H)
    v = 4 / math.pi ** 2 * (math.atan(W / H) - math.atan(w / h)) ** 2
    return inter / (w * h + W * H - inter) - alpha * v, inter / (w * h + W * H - inter), v


def test_the_gradient_of_ciou_takes_alpha_as_a_constant():
    first, second = [5., 5., 3., 2.], [5., 5., 2., 4.]
    _, iou, v = ciou_with_alpha(first, second, 0)
    alpha, step = v / (v - iou + 1), 1e-6
    wider, narrower = ([5., 5., 3. + sign * step, 2.] for sign in (1, -1))
    slope = (ciou_with_alpha(wider, second, alpha)[0] - ciou_with_alpha(narrower, second, alpha)[0]) / (2 * step)
    box = torch.tensor([first], dtype=torch.float64, requires_grad=True)
    complete_iou(box, torch.tensor([second], dtype=torch.float64)).sum().backward()
    assert box.grad[0, 2].item() == pytest.approx(slope, rel=1e-4)
    assert abs(alpha * v) > 0.01, 'the term counts here'


def test_objectness_teaches_no_box():
    """Its target, the IoU of the predicted box, is a constant: no gradient reaches the box through it."""
    logits = torch.linspace(-1, 1, 28).reshape(1, 1, 2, 2, 7).requires_grad_()
    index = torch.tensor([0])
    assigned = LevelAssignment(image=index, anchor=index, row=index, column=index, label=index,
                               boxes=torch.tensor([[0.4, 0.6, 1.1, 0.9]]), anchor_size=torch.ones(1, 2))
    parts = level_losses(logits, assigned, None)
    gradient, = torch.autograd.grad(parts.objectness, logits, retain_graph=True)
    assert (gradient[..., :4] == 0).all() and (gradient[..., 4] != 0).all()
    gradient, = torch.autograd.grad(parts.box, logits)
    assert (gradient[0, 0, 0, 0, :4] != 0).all()


def test_what_cannot_be_compared_is_marked_per_prediction():
    """Cells of classes 0 and 1; the second prediction's class has no cell. Cosines with (1, 0): 0.6 and 0."""
    features = torch.tensor([[1., 0.], [0., 1.], [0., 2.]])
    cells = torch.tensor([[3., 4.], [0., 2.]])
    low, high, defined = similarity_extremes(features, torch.tensor([0, 7, 1]), cells, torch.tensor([0, 1]))
    assert defined.tolist() == [True, False, True]
    assert low.tolist() == pytest.approx([0.6, 1.0]) and high.tolist() == pytest.approx([0.0, 0.8])


def test_cells_of_one_class_alone_leave_nothing_to_compare():
    """Neither the class's own predictions (no other cell) nor another's (no cell of its own)."""
    features, cells = torch.tensor([[1., 0.], [0., 1.]]), torch.tensor([[3., 4.]])
    low, high, defined = similarity_extremes(features, torch.tensor([0, 1]), cells, torch.tensor([0]))
    assert (low.tolist(), high.tolist(), defined.tolist()) == ([], [], [False, False])
    assert TripletLoss()(features, torch.tensor([0, 1]), cells, torch.tensor([0])).item() == 0


def test_losses_pass_their_own_settings_on():
    """Without gammas and clip the asymmetric loss is cross-entropy: log 2 for each of two known zeros."""
    logits, targets = torch.zeros(3), torch.tensor([1, 0, -1])
    total, known = AsymmetricLoss(gamma_neg=0, gamma_pos=0, clip=0, loss_weight=3).sum_and_count(logits, targets)
    assert (total.item(), known.item()) == (pytest.approx(6 * math.log(2)), 2)
    assert AsymmetricLoss()(logits[:1], targets[:1]).item() == pytest.approx(0.5 * math.log(2)), 'divided by one value'
    assert AsymmetricLoss(clip=0.25).sum_and_count(logits[:1], targets[1:2])[0].item() == pytest.approx(
        0.25 ** 4 * -math.log(0.75))


def test_the_defaults_are_the_releases():
    """LLD's release: gammas 4 and 1, clip 0.08; the paper: margin 0.05, weight 0.1."""
    wanted = dict(gamma_neg=4.0, gamma_pos=1.0, clip=0.08)
    for function in (asymmetric_loss, true_probability, AsymmetricLoss):
        found = {name: value.default for name, value in signature(function).parameters.items() if name in wanted}
        assert found == wanted
    assert (TripletLoss().margin, TripletLoss().loss_weight, TripletLoss().reading) == (0.05, 0.1, 'text')


def scaled(scale, boxes):
    """Boxes that RandomAffine keeps in a 40 x 40 image, scaled about its centre."""
    transform = RandomAffine(max_translate_ratio=0.0, scaling_ratio_range=(scale, scale), min_area_ratio=0.5)
    results = dict(img=np.zeros((40, 40, 3), np.uint8), img_shape=(40, 40),
                   gt_bboxes=CellBoxes(np.array(boxes, np.float32), regions=[[0., 0, 40, 40]],
                                       attributes=np.zeros((len(boxes), 1), int)),
                   gt_bboxes_labels=np.arange(len(boxes)), gt_ignore_flags=np.zeros(len(boxes), bool))
    return transform(results)['gt_bboxes'].tensor.tolist()


def test_what_is_left_of_a_box_is_compared_with_its_scaled_area():
    # halved: 8 x 8 becomes 4 x 4, all of it in sight, although 16 is less than half of 64
    assert scaled(0.5, [[16, 16, 24, 24]]) == [[18, 18, 22, 22]]
    # doubled: 8 x 10 becomes 16 x 20; 6 x 20 of it stay: 120 is less than half of 320, but more than half of 80
    assert scaled(2, [[5, 15, 13, 25]]) == []
    assert scaled(2, [[7, 15, 15, 25]]) == [[0, 10, 10, 30]], '200 of 320'


WINDOW = torch.tensor([[0., 0., 4., 4.]])


@pytest.mark.parametrize('box, ignored, seen', [
    ([4., 0., 8., 4.], True, False),     # touches the window's edge, reaches into it nowhere
    ([3.9, 0., 8., 4.], True, True),
    ([0., 4., 4., 8.], True, False),
    ([5., 1., 8., 3.], True, False),     # beside it, though within its rows
    ([4., 4., 8., 8.], False, False),
    ([0., 0., 8., 8.], False, True),     # the centre on the corner counts as inside
    ([0., 0., 8.2, 8.], False, False)])
def test_boxes_at_the_edge_of_a_window(box, ignored, seen):
    assert boxes_in_sight(torch.tensor([box]), torch.tensor([ignored]), WINDOW).tolist() == [seen]


def test_a_region_without_area_is_dropped():
    regions = torch.tensor([[0., 0., 0., 5.], [0., 0., 5., 0.], [1., 1., 3., 4.], [3., 3., 1., 4.]])
    assert drop_empty_regions(regions).tolist() == [[1, 1, 3, 4]]


def test_regions_are_cut_at_each_border():
    """A 10 x 20 image (height, width)."""
    regions = torch.tensor([[-2., -3., 30., 40.], [15., 2., 25., 4.], [20., 0., 30., 5.], [1., 8., 2., 12.]])
    assert clip_regions(regions, (10, 20)).tolist() == [[0, 0, 20, 10], [15, 2, 20, 4], [1, 8, 2, 10]]
    assert regions[0].tolist() == [-2, -3, 30, 40], 'the input stays as it is'


def test_what_two_sets_of_regions_share():
    first = torch.tensor([[0., 0., 4., 4.], [6., 0., 8., 8.]])
    second = torch.tensor([[2., 1., 7., 3.], [4., 4., 6., 6.]])
    assert intersect_regions(first, second).tolist() == [[2, 1, 4, 3], [6, 1, 7, 3]]
    assert intersect_regions(first, second[:0]).shape == (0, 4)
