"""AttriHead, and its RoIAlign against mmcv's."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmcv.ops import roi_align as mmcv_roi_align

from mmleuk.errors import UserError
from mmleuk.models.attributes.attri_head import AttriHead
from mmleuk.models.attributes.roi_align import roi_align
from mmleuk.registry import MODELS
from mmleuk.schema import IGNORE, LEUKEMIA_ATTRIBUTES, WBCATT_ATTRIBUTES, SchemaError
from mmleuk.utils.checkpoint import fit_checkpoint

MIXED = {'size': ['small', 'big'], 'hue': ['red', 'blue', 'grey'], 'vacuoles': ['no', 'yes']}


def make_head(attributes='leukemia', **kwargs):
    torch.manual_seed(0)
    head = AttriHead(attributes=attributes, in_channels=(4, 8), featmap_strides=(4, 8), conv_channels=(8, 8, 8),
                     fc_channels=(16, 8), **kwargs)
    head.init_weights()
    return head


def make_inputs(counts=(3, 2)):
    torch.manual_seed(1)
    size = len(counts)
    features = [torch.randn(size, 4, 32, 32), torch.randn(size, 8, 16, 16)]
    boxes = []
    for count in counts:
        corner = torch.rand(count, 2) * 60
        boxes.append(torch.cat([corner, corner + 10 + torch.rand(count, 2) * 50], 1))
    return features, boxes


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10 ** 6), sampling_ratio=st.integers(0, 3), stride=st.sampled_from([4, 8]))
def test_roi_align_agrees_with_mmcv(seed, sampling_ratio, stride):
    """Boxes in, across and outside the map, tiny and large."""
    generator = torch.Generator().manual_seed(seed)
    feature = torch.randn(2, 3, 17, 23, generator=generator)
    corner = torch.rand(6, 2, generator=generator) * 250 - 60
    size = torch.rand(6, 2, generator=generator) ** 3 * 400
    rois = torch.cat([torch.randint(0, 2, (6, 1), generator=generator), corner, corner + size], 1)
    ours = roi_align(feature, rois, (5, 7), stride, sampling_ratio)
    theirs = mmcv_roi_align(feature, rois, (5, 7), 1 / stride, sampling_ratio, 'avg', True)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=2e-4)


def test_roi_align_has_mmcvs_gradient():
    feature = torch.randn(2, 3, 16, 16, requires_grad=True)
    twin = feature.detach().clone().requires_grad_()
    rois = torch.tensor([[0, 3.0, 5.0, 40.0, 61.0], [1, -9.0, 2.0, 30.0, 20.0]])
    weight = torch.randn(2, 3, 4, 5)
    (roi_align(feature, rois, (4, 5), 4) * weight).sum().backward()
    (mmcv_roi_align(twin, rois, (4, 5), 0.25, 0, 'avg', True) * weight).sum().backward()
    torch.testing.assert_close(feature.grad, twin.grad, rtol=1e-4, atol=1e-5)


def test_roi_align_of_boxes_without_area():
    feature = torch.randn(1, 2, 8, 8)
    rois = torch.tensor([[0, 5.0, 5.0, 5.0, 9.0], [0, 5.0, 5.0, 5.0, 5.0]])
    assert (roi_align(feature, rois, (4, 5), 4) == 0).all()
    assert (mmcv_roi_align(feature, rois, (4, 5), 0.25, 0, 'avg', True) == 0).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_roi_align_on_gpu_equals_cpu():
    feature, rois = torch.randn(1, 3, 16, 16), torch.tensor([[0, 3.0, 5.0, 40.0, 61.0]])
    on_gpu = roi_align(feature.cuda(), rois.cuda(), (4, 5), 4).cpu()
    torch.testing.assert_close(on_gpu, roi_align(feature, rois, (4, 5), 4), rtol=1e-4, atol=1e-4)
    assert roi_align(feature.cuda(), rois[:0].cuda(), (4, 5), 4).shape == (0, 3, 4, 5)


def test_sizes_of_the_paper():
    """YOLOv5x: 480 channels in, 64 x 3 x 3 into the fully connected net, one logit per attribute."""
    head = MODELS.build(dict(type='mmleuk.AttriHead', attributes='leukemia', in_channels=(160, 320),
                             featmap_strides=(4, 8)))
    linear = [layer.weight.shape for layer in head.classifier.layers if hasattr(layer, 'weight')]
    assert linear == [(1024, 576), (256, 1024), (6, 256)]
    assert head.extractor.convs[0].weight.shape == (128, 480, 3, 3)
    assert [type(layer).__name__ for layer in head.extractor.convs] == ['Conv2d', 'LeakyReLU', 'MaxPool2d'] * 3


@pytest.mark.parametrize('attributes, logits, values', [
    ('leukemia', 6, 2), ('wbcatt', 7 + 6 + 3 + 4 + 4, 6), (MIXED, 5, 3), (LEUKEMIA_ATTRIBUTES.to_dict(), 6, 2),
    (WBCATT_ATTRIBUTES.select(['granularity']), 1, 2)])
def test_any_schema(attributes, logits, values):
    head = make_head(attributes).eval()
    assert head(*make_inputs()).shape == (5, logits)
    count = len(head.schema)
    for (predicted, probabilities), boxes in zip(head.predict(*make_inputs()), make_inputs()[1]):
        assert predicted.shape == (len(boxes), count) and probabilities.shape == (len(boxes), count, values)
        assert (predicted < torch.tensor(head.schema.cardinalities)).all()


def test_pairs_of_logits_take_cross_entropy():
    """Without a loss of its own a binary attribute is one of two values."""
    head = make_head(MIXED, loss_binary=None)
    assert head.classifier.logit_counts == (2, 3, 2) and head.classifier.loss_binary is None
    logits = torch.tensor([[0.0, math.log(3), 0.0, 0.0, 0.0, math.log(4), 0.0]])
    expected = [[[0.25, 0.75, 0], [1 / 3, 1 / 3, 1 / 3], [0.8, 0.2, 0]]]
    torch.testing.assert_close(head.classifier.decode(logits), torch.tensor(expected))
    loss = head.classifier.loss(logits, torch.tensor([[1, IGNORE, 1]]))
    assert loss.item() == pytest.approx((-math.log(0.75) - math.log(0.2)) / 2)


def test_weights_of_earlier_versions_load():
    """``convs`` and ``fcs`` were the head's own."""
    source, target = torch.nn.Sequential(make_head(MIXED)), torch.nn.Sequential(make_head(MIXED))
    state = {key.replace('extractor.', '').replace('classifier.layers', 'fcs'): value + 1
             for key, value in source.state_dict().items()}
    assert {'0.convs.0.weight', '0.fcs.0.bias'} < set(state)
    fit_checkpoint(target, state, 'old.pth', exact=True)
    target.load_state_dict(state)
    assert torch.equal(target[0].extractor.convs[0].weight, source[0].extractor.convs[0].weight + 1)


def test_decoding_by_hand():
    """Binary attributes read as the frequency at which their logit is the loss's optimum; others are a softmax."""
    head = make_head(MIXED)
    half = math.log(0.659 / 0.341)  # where half of the cells have value 1, the asymmetric loss wants 0.659
    logits = torch.tensor([[half, 0.0, math.log(2), 0.0, 0.0]])
    expected = [[[0.5, 0.5, 0], [0.25, 0.5, 0.25], [0.887, 0.113, 0]]]
    torch.testing.assert_close(head.classifier.decode(logits), torch.tensor(expected), atol=2e-3, rtol=0)
    plain = make_head(MIXED, loss_binary=dict(type='mmleuk.AsymmetricLoss', gamma_neg=0, gamma_pos=0, clip=0))
    assert plain.classifier.decode(logits)[0, 0, :2].tolist() == pytest.approx([0.341, 0.659])


@pytest.mark.parametrize('share', [0.2, 0.5, 0.8])
def test_a_trained_head_says_how_often_a_value_occurs(share):
    """Cells that look alike, of which a share has value 1: the probability is that share, and the value follows it."""
    head = make_head({'shape': ['disc', 'ring']}, dropout=0.0)
    features, boxes = make_inputs((1,))
    targets = (torch.arange(10) < 10 * share).long()[:, None]
    optimizer = torch.optim.Adam(head.classifier.parameters(), lr=0.01)
    extracted = head.extractor(features, torch.cat([torch.zeros(1, 1), boxes[0]], 1)).detach().expand(10, -1)
    for _ in range(300):
        optimizer.zero_grad()
        head.classifier.loss(head.classifier(extracted), targets).backward()
        optimizer.step()
    values, probabilities = head.eval().predict(features, boxes)[0]
    assert probabilities[0, 0, 1].item() == pytest.approx(share, abs=0.01)
    assert values.item() == round(share) or share == 0.5


def test_loss_by_hand():
    """Binary attributes and one with three values: one mean over the three known of six values."""
    head = make_head(MIXED)
    logits = torch.zeros(2, 5)
    head.forward = lambda features, boxes: logits
    targets = [torch.tensor([[1, 2, IGNORE]]), torch.tensor([[IGNORE, IGNORE, 0]])]
    boxes = [torch.zeros(1, 4)] * 2
    expected = 0.5 * math.log(2) + math.log(3) + 0.42 ** 4 * -math.log(0.58)
    assert head.loss([], boxes, targets)['loss_attributes'].item() == pytest.approx(expected / 3, rel=1e-5)


def test_learns_one_batch():
    """The gradient's direction: a few steps tell apart what the features tell apart."""
    head = make_head(MIXED, dropout=0.0).train()
    features, boxes = make_inputs()
    targets = [torch.tensor([[0, 2, IGNORE], [1, 0, 1], [0, 1, 1]]), torch.tensor([[1, 2, 0], [1, IGNORE, 0]])]
    optimizer = torch.optim.Adam(head.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        head.loss(features, boxes, targets)['loss_attributes'].backward()
        optimizer.step()
    values = torch.cat([predicted for predicted, _ in head.eval().predict(features, boxes)])
    truth = torch.cat(targets)
    assert torch.equal(values[truth != IGNORE], truth[truth != IGNORE])


@pytest.mark.parametrize('counts', [(0,), (0, 0)])
def test_no_cell_gives_zero_and_gradients(counts):
    head = make_head(MIXED).train()
    features, boxes = make_inputs(counts)
    features = [feature.requires_grad_() for feature in features]
    loss = head.loss(features, boxes, [torch.zeros(0, 3, dtype=torch.int64) for _ in counts])
    loss['loss_attributes'].backward()
    assert list(loss) == ['loss_attributes'] and loss['loss_attributes'].item() == 0
    assert all((parameter.grad == 0).all() for parameter in head.parameters())
    assert [tuple(values.shape) for values, _ in head.predict(features, boxes)] == [(0, 3)] * len(counts)


def test_nothing_known_gives_zero_and_gradients():
    head = make_head(MIXED).train()
    features, boxes = make_inputs()
    loss = head.loss(features, boxes, [torch.full((len(b), 3), IGNORE) for b in boxes])['loss_attributes']
    loss.backward()
    assert loss.item() == 0 and all((parameter.grad == 0).all() for parameter in head.parameters())


def test_unknown_values_take_no_part():
    head = make_head().eval()
    features, boxes = make_inputs()
    targets = [torch.randint(0, 2, (len(b), 6)) for b in boxes]
    alone = head.loss(features, boxes[:1] + [boxes[1][:0]], [targets[0], targets[1][:0]])
    ignored = head.loss(features, boxes, [targets[0], torch.full_like(targets[1], IGNORE)])
    torch.testing.assert_close(alone['loss_attributes'], ignored['loss_attributes'])


def test_cells_of_which_nothing_is_known_cost_nothing():
    """The head sees the described cells only, each with its own attributes."""
    head = make_head().eval()
    features, boxes = make_inputs((3, 2, 1))
    targets = [torch.full((len(b), 6), IGNORE) for b in boxes]
    targets[0][1], targets[1][0, 2] = torch.tensor([0, 1, 0, 1, IGNORE, 1]), 1
    seen = []
    head.register_forward_pre_hook(lambda _, inputs: seen.append([b.tolist() for b in inputs[1]]))
    loss = head.loss(features, boxes, targets)['loss_attributes']
    assert seen == [[boxes[0][1:2].tolist(), boxes[1][:1].tolist(), []]]
    torch.testing.assert_close(loss, head.classifier.loss(head(features, boxes), torch.cat(targets)))


def test_chunks_and_images_change_nothing():
    head = make_head().eval()
    features, boxes = make_inputs((7, 0, 3))
    whole = head.predict(features, boxes)
    head.chunk_size = 4
    for (values, probabilities), (expected, expected_probabilities) in zip(head.predict(features, boxes), whole):
        assert torch.equal(values, expected)
        torch.testing.assert_close(probabilities, expected_probabilities)
    alone = head.predict([feature[2:] for feature in features], boxes[2:])[0]
    torch.testing.assert_close(alone[1], whole[2][1])
    assert torch.equal(head.predict(features, boxes)[0][1], head.predict(features, boxes)[0][1])


def test_autocast_keeps_roi_align_in_float32():
    head = make_head().train()
    features, boxes = make_inputs()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = head.loss([feature.bfloat16() for feature in features], boxes,
                         [torch.ones(len(b), 6, dtype=torch.int64) for b in boxes])['loss_attributes']
        assert head.predict(features, boxes)[0][1].dtype == torch.float32
    loss.backward()
    assert loss.dtype == torch.float32 and loss.isfinite()


@pytest.mark.parametrize('change, message', [
    (dict(attributes='leukaemia'), "unknown attribute schema 'leukaemia'; known are .*wbcatt"),
    (dict(attributes={}), 'needs at least one attribute'),
    (dict(loss_binary=dict(type='mmdet.CrossEntropyLoss')), 'AttriHead: .* has no sum_and_count and probability'),
    (dict(in_channels=(4,)), 'one entry per feature map'),
    (dict(roi_output_size=(7, 30)), 'at least 8 bins')])
def test_bad_settings(change, message):
    settings_ = dict(attributes='leukemia', in_channels=(4, 8), featmap_strides=(4, 8)) | change
    with pytest.raises((UserError, SchemaError), match=message):
        AttriHead(**settings_)


def test_attributes_of_another_schema():
    head = make_head()
    features, boxes = make_inputs()
    with pytest.raises(UserError, match='3 cells come with attributes of shape .3, 7.; the schema has 6'):
        head.loss(features, boxes, [torch.zeros(3, 7), torch.zeros(2, 7)])
