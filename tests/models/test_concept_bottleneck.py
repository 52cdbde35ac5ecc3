"""ConceptBottleneck: crops, concepts, and classes from concepts alone."""

import pytest
import torch
import torch.nn.functional as F

from mmleuk.datasets.check import check_head_attributes
from mmleuk.errors import UserError
from mmleuk.models.attributes.concept_bottleneck import ConceptBottleneck
from mmleuk.models.attributes.extractors import square_around, square_crops
from mmleuk.registry import MODELS
from mmleuk.schema import IGNORE, AttributeSchema

SCHEMA = {'shape': ['disc', 'ring'], 'hue': ['red', 'green', 'blue']}
TINY = dict(type='mmdet.ResNet', depth=18, base_channels=8, num_stages=4, out_indices=(3,), frozen_stages=-1,
            norm_eval=False, norm_cfg=dict(type='GN', num_groups=4))


def build(**options):
    torch.manual_seed(0)
    model = MODELS.build(dict(type='mmleuk.ConceptBottleneck', attributes=SCHEMA, num_classes=4, crop_size=32,
                              encoder=TINY) | options)
    for parameter in model.parameters():  # away from the zeros of residual branches
        torch.nn.init.normal_(parameter, std=0.1)
    return model


def batch(counts=(2, 1)):
    """Noise of 64 px, boxes, attributes and labels."""
    draw = torch.Generator().manual_seed(1)
    boxes = [torch.tensor([[8.0, 8, 40, 30], [20, 12, 50, 60], [0, 0, 64, 64]])[:count] for count in counts]
    attributes = [torch.randint(0, 2, (count, 2), generator=draw) for count in counts]
    labels = [torch.randint(0, 4, (count,), generator=draw) for count in counts]
    return torch.rand(len(counts), 3, 64, 64, generator=draw), boxes, attributes, labels


def test_a_crop_is_the_squares_pixels():
    picture = torch.arange(2 * 3 * 20 * 30.0).reshape(2, 3, 20, 30)
    crop = square_crops(picture, torch.tensor([[1.0, 4, 6, 12, 14]]), 8, context=0)
    assert torch.equal(crop[0], picture[1, :, 6:14, 4:12])
    wider = square_crops(picture, torch.tensor([[1.0, 6, 8, 10, 12]]), 8, context=0.5)  # 4 px and 2 on each side
    assert torch.equal(wider, crop)


def test_a_box_that_is_no_square_keeps_its_proportions():
    picture = torch.zeros(1, 1, 40, 40)
    picture[..., 16:24, 4:36] = 1  # 32 wide, 8 high
    crop = square_crops(picture, torch.tensor([[0.0, 4, 16, 36, 24]]), 16, context=0)[0, 0]
    expected = torch.zeros(16, 16)
    expected[6:10] = 1
    assert torch.equal(crop, expected)


def test_outside_the_picture_is_nothing_and_large_squares_are_averaged():
    crop = square_crops(torch.ones(1, 1, 8, 8), torch.tensor([[0.0, 0, 0, 8, 8]]), 6, context=1)[0, 0]
    edge = torch.tensor([0, 0.25, 1, 1, 0.25, 0])  # of four pixels, the one beside the picture repeats its border
    assert torch.equal(crop, edge[:, None] * edge)
    stripes = torch.tensor([0.0, 1.0]).repeat(8).expand(1, 1, 16, 16)
    assert torch.equal(square_crops(stripes, torch.tensor([[0.0, 0, 0, 16, 16]]), 8, 0), torch.full((1, 1, 8, 8), 0.5))


def test_boxes_without_area_and_no_boxes():
    assert square_around(torch.tensor([[5.0, 5, 5, 5]]), 0).tolist() == [[4.5, 4.5, 5.5, 5.5]]
    assert square_around(torch.zeros(0, 4), 0.1).shape == (0, 4)


def test_each_attribute_has_its_softmax():
    model = build()
    concept_logits, class_logits = model(*batch()[:2])
    assert concept_logits.shape == (3, 5) and class_logits.shape == (3, 4)
    probs = model.classifier.probabilities(concept_logits)
    assert [column.shape for column in probs] == [(3, 2), (3, 3)]
    torch.testing.assert_close(torch.stack([column.sum(1) for column in probs]), torch.ones(2, 3))


@pytest.mark.parametrize('joint', [False, True])
def test_classes_see_concepts_alone(joint):
    """The same concepts give the same classes, whatever the pixels; the class loss reaches pixels only through them."""
    model = build(joint=joint).eval()
    pixels, boxes, attributes, labels = batch()
    pixels.requires_grad_()
    model.loss(pixels, boxes, attributes, labels)['loss_concept_class'].backward()
    assert model.classes.weight.grad.any()
    assert (pixels.grad is not None and bool(pixels.grad.any())) == joint
    assert (model.extractor.encoder.conv1.weight.grad is not None) == joint
    with torch.no_grad():  # all crops show the same concepts: equal logits, whatever the encoder sees
        model.classifier.layers[0].weight.zero_()
        _, class_logits = model(pixels, boxes)
    torch.testing.assert_close(class_logits, class_logits[:1].expand(3, -1))


def test_losses_by_hand():
    model = build().eval()
    pixels, boxes, _, labels = batch()
    attributes = [torch.tensor([[1, 2], [IGNORE, 0]]), torch.tensor([[0, IGNORE]])]
    concept_logits, class_logits = model(pixels, boxes)
    losses = model.loss(pixels, boxes, attributes, labels)
    shape, hue = concept_logits.split((2, 3), 1)
    known = [-shape[0].log_softmax(0)[1], -shape[2].log_softmax(0)[0], -hue[0].log_softmax(0)[2],
             -hue[1].log_softmax(0)[0]]
    torch.testing.assert_close(losses['loss_attributes'], sum(known) / 4)
    torch.testing.assert_close(losses['loss_concept_class'], F.cross_entropy(class_logits, torch.cat(labels)))


def test_unknown_attributes_teach_nothing():
    model = build().eval()
    pixels, boxes, attributes, labels = batch()
    unknown = [torch.full_like(values, IGNORE) for values in attributes]
    losses = model.loss(pixels, boxes, unknown, labels)
    assert losses['loss_attributes'] == 0 and losses['loss_concept_class'] > 0
    sum(losses.values()).backward()
    assert all(not parameter.grad.any() for name, parameter in model.named_parameters()
               if not name.startswith('classes'))
    half = [values.clone() for values in attributes]
    half[0][:, 1] = half[1][:, 1] = IGNORE
    model.zero_grad()
    model.loss(pixels, boxes, half, labels)['loss_attributes'].backward()
    assert model.classifier.layers[0].weight.grad[:2].any() and not model.classifier.layers[0].weight.grad[2:].any()


@pytest.mark.parametrize('counts', [(0, 0), (0, 2)])
def test_images_without_cells(counts):
    model = build()
    losses = model.loss(*batch(counts))
    sum(losses.values()).backward()
    assert all(loss.isfinite() and (loss == 0) == (sum(counts) == 0) for loss in losses.values())
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())
    readings = model.eval().predict(*batch(counts)[:2])
    assert [reading.attributes.shape for reading in readings] == [(count, 2) for count in counts]
    assert [reading.attribute_probs.shape for reading in readings] == [(count, 2, 3) for count in counts]
    assert [reading.class_probs.shape for reading in readings] == [(count, 4) for count in counts]


def test_predictions_by_image_whatever_the_chunks():
    model = build().eval()
    pixels, boxes, *_ = batch((2, 3))
    readings = model.predict(pixels, boxes)
    model.chunk_size = 2
    for one, other in zip(readings, model.predict(pixels, boxes)):
        torch.testing.assert_close(one.attribute_probs, other.attribute_probs)
        torch.testing.assert_close(one.class_probs, other.class_probs)
    alone = model.predict(pixels[1:], boxes[1:])[0]
    torch.testing.assert_close(readings[1].attribute_probs, alone.attribute_probs)
    probs = readings[1].attribute_probs
    assert (probs[:, 0, 2] == 0).all() and torch.equal(probs.argmax(2), readings[1].attributes)
    torch.testing.assert_close(probs.sum(2), torch.ones(3, 2))
    torch.testing.assert_close(readings[1].class_probs.sum(1), torch.ones(3))


def test_the_same_call_twice():
    model = build().eval()
    pixels, boxes, attributes, labels = batch()
    first, second = (model.loss(pixels, boxes, attributes, labels) for _ in range(2))
    assert first == second


def test_mistakes_say_what_to_do():
    pixels, boxes, attributes, labels = batch()
    with pytest.raises(UserError, match='the schema has 2 attributes'):
        build().loss(pixels, boxes, [values[:, :1] for values in attributes], labels)
    with pytest.raises(UserError, match='at least one attribute'):
        build(attributes={})
    with pytest.raises(UserError, match='context >= 0'):
        build(context=-0.1)


def test_other_attributes_than_the_datas_are_noticed():
    model = dict(type='mmleuk.PostHocCBM', bottleneck=dict(type='mmleuk.ConceptBottleneck', attributes=SCHEMA))
    check_head_attributes(dict(model=model), AttributeSchema.from_dict(SCHEMA))
    turned = {'shape': SCHEMA['shape'][::-1], 'hue': SCHEMA['hue']}
    with pytest.raises(UserError, match='model.bottleneck.attributes'):
        check_head_attributes(dict(model=model), AttributeSchema.from_dict(turned))


def test_the_usual_encoder_is_narrow_and_whole():
    model = ConceptBottleneck(attributes='wbcatt', num_classes=7)
    assert model.classifier.layers[0].weight.shape == (31, 256) and model.classes.weight.shape == (7, 31)
    assert sum(parameter.numel() for parameter in model.parameters()) < 3e6
    assert all(parameter.requires_grad for parameter in model.parameters()) and model.extractor.encoder.training


def paint(number, generator):
    """Pictures of 32 px, one cell each: disc or ring, red, green or blue; the blue rings are a class of their own."""
    pictures = torch.full((number, 3, 32, 32), 0.5) + 0.05 * torch.randn(number, 3, 32, 32, generator=generator)
    values = torch.stack([torch.randint(0, 2, (number,), generator=generator),
                          torch.randint(0, 3, (number,), generator=generator)], 1)
    y, x = torch.meshgrid(torch.arange(32) - 15.5, torch.arange(32) - 15.5, indexing='ij')
    radius = (x ** 2 + y ** 2).sqrt()
    disc, ring = radius < 10, (radius > 7) & (radius < 11)
    for picture, (shape, hue) in zip(pictures, values.tolist()):
        picture[:, ring if shape else disc] -= 0.4
        picture[hue, ring if shape else disc] += 0.8
    labels = (values[:, 0] == 1) & (values[:, 1] == 2)
    return pictures, [torch.tensor([[5.0, 5, 27, 27]])] * number, values.split(1), labels.long().split(1)


def test_learns_painted_cells():
    """In 50 steps both attributes are told far better than by the most frequent value, and classes follow."""
    draw = torch.Generator().manual_seed(2)
    model = ConceptBottleneck(attributes=SCHEMA, num_classes=2, crop_size=32, encoder=TINY, dropout=0.0)
    model.init_weights()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    history = []
    for _ in range(50):
        loss = sum(model.loss(*paint(16, draw)).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    assert sum(history[-5:]) < 0.5 * sum(history[:5])
    pictures, boxes, values, labels = paint(100, draw)
    readings = model.eval().predict(pictures, boxes)
    found = torch.cat([reading.attributes for reading in readings])
    assert ((found == torch.cat(values)).float().mean(0) > 0.9).all()
    classes = torch.cat([reading.class_probs.argmax(1) for reading in readings])
    assert (classes == torch.cat(labels)).float().mean() > 0.9
