"""Double-Head's box head without a box."""

import torch

from mmleuk.models.losses.no_loss import no_loss
from mmleuk.models.roi_heads import DoubleConvFCBBoxHead


def make_head():
    return DoubleConvFCBBoxHead(num_classes=3, num_convs=1, num_fcs=1, in_channels=8, conv_out_channels=8,
                                fc_out_channels=8, roi_feat_size=3)


def test_without_a_box_every_parameter_still_takes_part():
    """Distributed training waits for a gradient of every parameter."""
    head = make_head()
    scores, boxes = head(torch.zeros(0, 8, 3, 3), torch.zeros(0, 8, 3, 3))
    assert scores.shape == (0, 4) and boxes.shape == (0, 12)
    boxes.sum().backward()  # all that mmdet's loss takes of an empty batch
    assert all(parameter.grad is not None and not parameter.grad.any() for parameter in head.parameters())


def test_with_a_box_it_is_the_parents():
    head, features = make_head().eval(), torch.randn(2, 8, 3, 3)
    for ours, theirs in zip(head(features, features), super(DoubleConvFCBBoxHead, head).forward(features, features)):
        assert torch.equal(ours, theirs)


def test_no_loss_is_nothing_even_of_broken_weights():
    layer = torch.nn.Linear(2, 1)
    with torch.no_grad():
        layer.weight.fill_(torch.inf)
    layer.bias.requires_grad_(False)
    zero = no_loss(layer)
    zero.backward()
    assert zero == 0 and not layer.weight.grad.any() and layer.bias.grad is None
