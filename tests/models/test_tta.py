"""CellTTAModel: what several views of an image say of its cells, attributes included."""

import pytest
import torch
from mmdet.models.test_time_augs import DetTTAModel
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.model import BaseModel
from mmengine.structures import InstanceData

from mmleuk.models.detectors.tta import CellTTAModel, merge_attributes
from mmleuk.schema import IGNORE


class ByHand(BaseModel):
    """What gives the views; here they are made by hand."""

    def forward(self, inputs):
        return inputs


SETTINGS = dict(tta_cfg=ConfigDict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=3), module=ByHand())
A, B = [10.0, 10, 30, 30], [60.0, 10, 80, 30]


def view(rows, flip=False):
    """Rows are (box, score, label, probabilities of two attributes with two values) in the view's pixels."""
    sample = DetDataSample(metainfo=dict(ori_shape=(50, 100), flip=flip, flip_direction='horizontal' if flip else None))
    sample.pred_instances = InstanceData(
        bboxes=torch.tensor([row[0] for row in rows]).reshape(-1, 4), scores=torch.tensor([row[1] for row in rows]),
        labels=torch.tensor([row[2] for row in rows], dtype=torch.int64),
        attribute_probs=torch.tensor([row[3] for row in rows]).reshape(-1, 2, 2),
        attributes=torch.tensor([[0, 0]] * len(rows), dtype=torch.int64).reshape(-1, 2),
        cbm_labels=torch.tensor([row[2] + 10 for row in rows], dtype=torch.int64))
    return sample


def mirrored(box):
    return [100 - box[2], box[1], 100 - box[0], box[3]]


KNOWN, UNKNOWN = [[0.2, 0.8], [0.9, 0.1]], [[0.0, 0.0], [0.0, 0.0]]


def views():
    return [view([(A, 0.9, 0, KNOWN), (B, 0.3, 0, UNKNOWN)]),
            view([(mirrored(A), 0.3, 0, [[1.0, 0.0], [0.0, 0.0]]), (mirrored(A), 0.2, 1, [[1.0, 0.0], [1.0, 0.0]]),
                  (mirrored(B), 0.4, 0, UNKNOWN)], flip=True)]


def test_attributes_are_the_weighted_mean_over_the_views():
    """Of cell A both views tell attribute 0, one tells attribute 1; a box of another class has no say."""
    found = CellTTAModel(**SETTINGS).merge_preds([views()])[0].pred_instances
    assert found.labels.tolist() == [0, 0, 1] and found.scores.tolist() == pytest.approx([0.9, 0.4, 0.2])
    of_a = [[0.9 * 0.2 + 0.3 * 1.0, 0.9 * 0.8], [0.9, 0.1]]
    assert found.attribute_probs[0, 0].tolist() == pytest.approx([of_a[0][0] / 1.2, of_a[0][1] / 1.2])
    assert found.attribute_probs[0, 1].tolist() == pytest.approx(of_a[1])
    assert found.attributes.tolist() == [[1, 0], [IGNORE, IGNORE], [0, 0]]
    assert found.cbm_labels.tolist() == [10, 10, 11]


def test_boxes_are_mmdetections():
    ours = CellTTAModel(**SETTINGS).merge_preds([views()])[0].pred_instances
    theirs = DetTTAModel(**SETTINGS).merge_preds([views()])[0].pred_instances
    for key in ('bboxes', 'scores', 'labels'):
        assert torch.equal(ours[key], theirs[key])


def test_no_detection_and_no_attributes():
    assert len(CellTTAModel(**SETTINGS).merge_preds([[view([]), view([], flip=True)]])[0].pred_instances) == 0
    plain = views()
    for sample in plain:
        del sample.pred_instances.attributes, sample.pred_instances.attribute_probs
    assert 'attributes' not in CellTTAModel(**SETTINGS).merge_preds([plain])[0].pred_instances


def test_nobody_knows():
    values, probs = merge_attributes(torch.zeros(2, 1, 3), torch.ones(1, 2))
    assert values.tolist() == [[IGNORE]] and (probs == 0).all()
