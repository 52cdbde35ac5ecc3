"""The head with uncertainties: its loss against a written-out density, and scores that fall with uncertainty."""

import math

import pytest
import torch
from mmengine.structures import InstanceData

from mmleuk.errors import UserError
from mmleuk.models.dense_heads import GaussianYOLOv5Head, YOLOv5Head
from mmleuk.models.dense_heads.gaussian_yolov5_head import gaussian_misfit
from mmleuk.models.losses.yolov5_loss import decode_boxes
from mmleuk.models.task_modules.yolov5_assigner import BatchCells

OPTIONS = dict(num_classes=2, in_channels=[4, 4, 4], image_size=64, test_cfg=dict(
    score_thr=0.0, nms_pre=1000, nms=dict(type='nms', iou_threshold=0.5), max_per_img=10))
META = [dict(img_shape=(64, 64), scale_factor=(1.0, 1.0))] * 2


def feats():
    draw = torch.Generator().manual_seed(0)
    return [torch.randn(2, 4, 64 // stride, 64 // stride, generator=draw) for stride in (8, 16, 32)]


def heads():
    torch.manual_seed(0)
    plain = YOLOv5Head(**OPTIONS)
    head = GaussianYOLOv5Head(**OPTIONS)
    head.load_state_dict(plain.state_dict(), strict=False)
    return plain, head


def truth(boxes=((8.0, 8.0, 30.0, 34.0),)):
    cells = InstanceData(bboxes=torch.tensor(boxes).view(-1, 4), labels=torch.ones(len(boxes), dtype=torch.long))
    return [cells, cells[:0]]


def test_the_misfit_is_one_less_the_density():
    sigma, error = torch.tensor([[0.2, 0.5, 0.9, 0.4]]), torch.tensor([[0.1, 0.0, 1.0, -0.3]])
    by_hand = [1 - math.exp(-(e / s) ** 2 / 2) / (math.sqrt(2 * math.pi) * (s + 0.3))
               for e, s in zip(error[0].tolist(), sigma[0].tolist())]
    assert gaussian_misfit(torch.zeros(1, 4), error, sigma)[0].tolist() == pytest.approx(by_hand, abs=1e-6)


def test_objectness_classes_and_detections_are_the_plain_heads():
    plain, head = heads()
    expected, found = plain(feats()), head(feats())
    assert found[0][0].shape[1] == 3 * (9 + 2)
    for one, other in zip(plain.per_anchor(expected[0]), head.per_anchor(found[0])):
        assert torch.equal(one, other)
    before, after = (h.loss_by_feat(o[0], truth(), META) for h, o in ((plain, expected), (head, found)))
    assert torch.equal(before['loss_obj'], after['loss_obj']) and torch.equal(before['loss_cls'], after['loss_cls'])
    assert before['loss_bbox'] != after['loss_bbox']
    detected = [h.predict_by_feat(o[0], META)[0] for h, o in ((plain, expected), (head, found))]
    assert torch.equal(detected[0].scores, detected[1].scores)


def test_the_box_loss_is_the_mean_misfit_of_each_level():
    _, head = heads()
    outputs = head(feats())[0]
    loss = head.loss_by_feat(outputs, truth(), META)['loss_bbox']
    total = 0.0
    for logits, sigma, found in zip(head.per_anchor(outputs), head.sigma(outputs),
                                    head.assign(BatchCells.from_instances(truth()), head.per_anchor(outputs))):
        where = (found.image, found.anchor, found.row, found.column)
        boxes = decode_boxes(logits[where][:, :4], found.anchor_size)
        if len(boxes):
            total += gaussian_misfit(boxes, found.boxes, sigma[where]).mean().item()
    assert loss.item() == pytest.approx(total * 0.05 * 2, rel=1e-5)
    loss.backward()
    assert all(conv.weight.grad.abs().sum() > 0 for conv in head.uncertainty_convs[:1])


def test_no_cell_gives_a_loss_of_zero_with_a_gradient():
    _, head = heads()
    loss = head.loss_by_feat(head(feats())[0], truth(()), META)['loss_bbox']
    assert loss == 0
    loss.backward()


def test_uncertain_boxes_get_lower_scores():
    """delta times the mean sigma is taken off the objectness; both ways to ask give the same scores."""
    _, head = heads()
    outputs = head(feats())[0]
    before = head.decode(outputs)[1]
    head.uncertainty_weight = 0.5
    after = head.decode(outputs)[1]
    sigma = torch.cat([level.mean(-1).flatten(1) for level in head.sigma(outputs)], 1)
    assert torch.allclose(after[..., 0], before[..., 0] * (1 - 0.5 * sigma))
    assert torch.equal(after[..., 1:], before[..., 1:])
    found = head.candidates(outputs, 0.0)[0]
    assert torch.allclose(found.scores, (after[0, :, :1] * after[0, :, 1:]).max(1).values)


def test_strict_regions_are_refused():
    with pytest.raises(UserError, match="'everywhere' or 'regions'"):
        GaussianYOLOv5Head(**OPTIONS, truth='regions_strict')
