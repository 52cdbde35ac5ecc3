"""Always the most frequent value."""

import json
import math

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from sklearn.metrics import f1_score

from mmleuk.errors import UserError
from mmleuk.evaluation import MajorityF1Metric
from mmleuk.evaluation.majority import majority_values
from mmleuk.registry import METRICS
from mmleuk.schema import IGNORE

SCHEMA = {'size': ['small', 'big'], 'hue': ['red', 'blue', 'grey']}
BOX = [0.0, 0, 20, 20]


def test_values_by_hand():
    cells = np.array([[1, 2], [0, 2], [1, IGNORE], [IGNORE, 0]])
    assert majority_values(cells, (2, 3)).tolist() == [1, 2]
    assert majority_values(np.array([[1], [0]]), (2,)).tolist() == [0]  # a draw
    assert majority_values(np.zeros((0, 2), int), (2, 3)).tolist() == [IGNORE, IGNORE]


@pytest.fixture
def train_file(tmp_path):
    """Three cells: big, big, small; blue, blue, unknown. An ignored one, small and red, doesn't count; nor a fourth."""
    cells = [dict(size='big', hue='blue'), dict(size='big', hue='blue'), dict(size='small'),
             dict(size='small', hue='red'), dict(size='small', hue='red')]
    annotations = [dict(id=i, image_id=1, category_id=1, bbox=[0, 0, 10, 10], area=100, iscrowd=int(i > 2),
                        attributes=cell) for i, cell in enumerate(cells)]
    path = tmp_path / 'train.json'
    path.write_text(json.dumps(dict(images=[dict(id=1, file_name='a.png', width=50, height=50)],
                                    annotations=annotations, categories=[dict(id=1, name='WBC')])))
    return path


def make_sample(cells, detections):
    """Cells are attributes, one box each in a row; detections scores at the first cell's box."""
    sample = DetDataSample(metainfo=dict(img_path='film.png', annotated_regions=torch.tensor([[0., 0, 500, 500]])))
    shift = 50.0 * torch.arange(len(cells)).reshape(-1, 1)
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor(BOX) + shift, labels=torch.zeros(len(cells), dtype=torch.int64),
        attributes=torch.tensor(cells, dtype=torch.int64).reshape(-1, 2))
    sample.pred_instances = InstanceData(
        bboxes=torch.tensor([BOX] * len(detections)).reshape(-1, 4), scores=torch.tensor(detections),
        labels=torch.zeros(len(detections), dtype=torch.int64))
    return sample


def evaluate(samples, train_file, **options):
    metric = METRICS.build(dict(type='mmleuk.MajorityF1Metric', train_ann_file=str(train_file), binary='macro',
                                **options))
    metric.dataset_meta = dict(classes=('WBC',), attributes=SCHEMA)
    before = [sample.to_dict() for sample in samples]
    metric.process({}, before)
    assert all('attributes' not in sample['pred_instances'] and 'gt_attributes' not in sample for sample in before)
    return metric.evaluate(len(samples))


def test_scores_equal_scikit_learns(train_file):
    truth = [[1, 1], [1, 0], [0, 1], [1, IGNORE]]
    scores = evaluate([make_sample(truth, [])], train_file, mode='gt_boxes')
    size, hue = (np.array(column) for column in zip(*truth))
    assert scores['attribute_gt_boxes/size'] == pytest.approx(f1_score(size, [1] * 4, average='macro'))
    assert scores['attribute_gt_boxes/hue'] == pytest.approx(f1_score(hue[:3], [1] * 3, average='macro'))
    assert scores['attribute_gt_boxes/hue_known'] == 3


def test_detections_of_a_detector_without_attributes(train_file):
    """One of two big blue cells found, and found as big and blue: F1 2 / 3 for the value, the only one that occurs."""
    scores = evaluate([make_sample([[1, 1], [1, 1]], [0.9])], train_file)
    assert scores['attribute/size'] == scores['attribute/hue'] == pytest.approx(2 / 3)


def test_images_with_nothing(train_file):
    scores = evaluate([make_sample([], [])], train_file)
    assert math.isnan(scores['attribute/macro_f1']) and scores['attribute/macro_f1_attributes'] == 0


def test_mistakes_say_what_to_do(train_file, tmp_path):
    with pytest.raises(UserError, match='none.json'):
        evaluate([make_sample([[1, 1]], [])], tmp_path / 'none.json')
    metric = MajorityF1Metric(train_ann_file=str(train_file), attributes=SCHEMA)
    with pytest.raises(UserError, match='names no classes'):
        metric.process({}, [make_sample([[1, 1]], []).to_dict()])
