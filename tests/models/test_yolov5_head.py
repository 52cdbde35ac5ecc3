import math

import pytest
import torch
from mmengine.config import ConfigDict

from mmleuk.errors import UserError
from mmleuk.models.dense_heads.yolov5_head import YOLOv5Head

C = 3


def head(**test_cfg):
    cfg = dict(multi_label=True, score_thr=0.3, nms_pre=100, nms=dict(type='nms', iou_threshold=0.5), max_per_img=10)
    return YOLOv5Head(num_classes=C, in_channels=(4, 4, 4), test_cfg={**cfg, **test_cfg})


def silent(batch=1):
    return [torch.full((batch, 3 * (5 + C), n, n), -20.) for n in (8, 4, 2)]


def put(outputs, level, anchor, row, column, values, image=0):
    outputs[level].unflatten(1, (3, 5 + C))[image, anchor, :, row, column] = torch.tensor(values)


def logit(p):
    return math.log(p / (1 - p))


META = dict(img_shape=(64, 64), scale_factor=(1., 1.))


def predict(model, outputs, metas=(META,), **kwargs):
    return model.predict_by_feat(outputs, list(metas), **kwargs)


def test_decoding_by_hand():
    raw = silent()
    # centre logits 0 -> middle of the grid cell; size logits 0 -> the anchor itself (30 x 61 of stride 16)
    put(raw, 1, 0, 1, 2, [0., 0., 0., 0., logit(0.8), logit(0.9), logit(0.1), logit(0.2)])
    found, = predict(head(), raw)
    assert found.bboxes.tolist() == [pytest.approx([40 - 15, 0, 40 + 15, 24 + 30.5])]  # the top -6.5 is cut
    assert found.scores.tolist() == pytest.approx([0.72]) and found.labels.tolist() == [0]


def test_offsets_and_sizes_by_hand():
    raw = silent()
    put(raw, 0, 1, 4, 3, [logit(0.75), logit(0.25), logit(0.25), logit(0.75), 9., 9., -9., -9.])
    found, = predict(head(), raw)
    # x (3 + 1.0) * 8 = 32, y (4 + 0) * 8 = 32, w 16 / 4 = 4, h 30 * 2.25 = 67.5
    assert found.bboxes.tolist() == [pytest.approx([30., 0., 34., 64.], abs=1e-3)]


def test_rescaling_to_the_original_image():
    raw = silent()
    put(raw, 0, 0, 4, 4, [0., 0., 0., 0., 9., 9., -9., -9.])
    plain, = predict(head(), raw)
    scaled, = predict(head(), raw, [dict(img_shape=(64, 64), scale_factor=(0.5, 0.25))], rescale=True)
    assert torch.allclose(scaled.bboxes, plain.bboxes * torch.tensor([2., 4., 2., 4.]))


def test_suppression_is_per_class_and_per_image():
    raw = silent(2)
    for image in range(2):
        put(raw, 0, 2, 4, 4, [0., 0., 0., 0., 9., 9., -9., -9.], image)
        put(raw, 0, 2, 4, 5, [-9., 0., 0., 0., 3., 9., -9., -9.], image)
        put(raw, 0, 2, 5, 4, [0., -9., 0., 0., 3., -9., 9., -9.], image)
    for found in predict(head(), raw, [META, META]):
        assert sorted(found.labels.tolist()) == [0, 1]
    both, _ = predict(head(), raw, [META, META], with_nms=False)
    assert len(both.labels) == 3


def test_boxes_are_clipped_after_suppression():
    """Boxes from x = -60 to 60 and -4 to 116: an IoU of 64 / 176 as they are, of 60 / 64 once they are cut."""
    raw = silent()
    wide = [logit(0.25), logit(0.5), 9., 9.]
    model = YOLOv5Head(num_classes=C, in_channels=(4, 4, 4), anchors=[[[30, 16]] * 3, [[1, 1]] * 3, [[1, 1]] * 3],
                       test_cfg=head().test_cfg)
    for column, score in ((0, 9.), (7, 3.)):
        put(raw, 0, 0, 4, column, [*wide, score, 9., -9., -9.])
    found, = predict(model, raw)
    assert len(found) == 2 and (found.bboxes[:, 0::2] >= 0).all() and (found.bboxes[:, 0::2] <= 64).all()
    scaled, = predict(model, raw, [dict(img_shape=(64, 64), scale_factor=(0.5, 0.25))], rescale=True)
    assert torch.allclose(scaled.bboxes, found.bboxes * torch.tensor([2., 4., 2., 4.]))


def test_multi_label_on_and_off():
    raw = silent()
    put(raw, 0, 0, 4, 4, [0., 0., 0., 0., 9., logit(0.9), logit(0.6), logit(0.2)])
    assert predict(head(), raw)[0].labels.tolist() == [0, 1]
    single, = predict(head(multi_label=False), raw)
    assert single.labels.tolist() == [0] and single.scores.tolist() == pytest.approx([0.9], abs=1e-3)
    assert predict(head(), raw, cfg=ConfigDict(score_thr=0.95, nms_pre=9, max_per_img=9))[0].labels.tolist() == []


@pytest.mark.parametrize('multi_label', [True, False])
def test_nothing_found(multi_label):
    found, = predict(head(multi_label=multi_label), silent(), rescale=True)
    assert found.bboxes.shape == (0, 4) and found.scores.shape == (0,) and found.labels.shape == (0,)


def test_at_most_max_per_img():
    raw = silent()
    for row in range(8):
        for column in range(8):
            put(raw, 0, 0, row, column, [0., 0., -9., -9., 9., 9., -9., -9.])
    found, = predict(head(), raw)
    assert len(found.labels) == 10


def test_inputs_untouched_and_repeatable():
    raw = silent()
    put(raw, 1, 0, 1, 2, [0., 0., 0., 0., 9., 9., 9., -9.])
    before = [o.clone() for o in raw]
    first, second = predict(head(), raw)[0], predict(head(), raw)[0]
    assert torch.equal(first.bboxes, second.bboxes) and all(torch.equal(a, b) for a, b in zip(raw, before))


def test_constructor_refuses():
    with pytest.raises(UserError, match="truth is 'everywhere'"):
        YOLOv5Head(num_classes=3, in_channels=(4, 4, 4), truth='somewhere')
    with pytest.raises(UserError, match='differ in length'):
        YOLOv5Head(num_classes=3, in_channels=(4, 4))


def test_candidates_equal_the_decoded_grid():
    """Only what passes the score is decoded, and it is what decoding everything gives."""
    model = head()
    raw = [torch.randn(2, 3 * (5 + C), n, n, generator=torch.Generator().manual_seed(n)) * 3 for n in (16, 8, 4)]
    boxes, scores = model.decode(raw)
    confidence = scores[..., 1:].amax(2) * scores[..., 0]
    for image, found in enumerate(model.candidates(raw, 0.5)):
        expected = confidence[image] >= 0.5
        assert len(found) == expected.sum() > 10
        order, theirs = found.scores.argsort(), confidence[image][expected].argsort()
        torch.testing.assert_close(found.scores[order], confidence[image][expected][theirs])
        torch.testing.assert_close(found.bboxes[order], boxes[image][expected][theirs], atol=1e-3, rtol=0)
        assert (found.probabilities.argmax(1) == found.labels).all()
