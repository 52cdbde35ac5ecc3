"""AttributeF1Metric on data samples."""

import math

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.evaluator import Evaluator
from mmengine.structures import InstanceData
from sklearn.metrics import f1_score

from mmleuk.errors import UserError
from mmleuk.evaluation import AttributeF1Metric
from mmleuk.evaluation.attribute_f1 import AttributeCounts
from mmleuk.registry import METRICS
from mmleuk.schema import IGNORE, LEUKEMIA_ATTRIBUTES

SCHEMA = {'chromatin': dict(values=['open', 'coarse'], short='NC'), 'shape': dict(values=['a', 'b', 'c'], short='NS')}
FAR = [200.0, 200, 220, 220]


def make_sample(cells, detections, regions=(0, 0, 300, 300), gt_attributes=None, ignored=()):
    """Cells are (box, attributes) or (box, attributes, label), detections (box, attributes, score[, label])."""
    sample = DetDataSample(metainfo=dict(img_id=1, img_path='film.png', ori_shape=(300, 300)))
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor([cell[0] for cell in cells]).reshape(-1, 4).float(),
        labels=torch.tensor([(*cell, 0)[2] for cell in cells], dtype=torch.int64),
        attributes=torch.tensor([cell[1] for cell in cells], dtype=torch.int64).reshape(-1, 2))
    sample.ignored_instances = InstanceData(bboxes=torch.tensor(ignored).reshape(-1, 4).float(),
                                            labels=torch.zeros(len(ignored), dtype=torch.int64))
    sample.pred_instances = InstanceData(
        bboxes=torch.tensor([found[0] for found in detections]).reshape(-1, 4).float(),
        attributes=torch.tensor([found[1] for found in detections], dtype=torch.int64).reshape(-1, 2),
        scores=torch.tensor([found[2] for found in detections]).float(),
        labels=torch.tensor([(*found, 0)[3] for found in detections], dtype=torch.int64))
    sample.set_metainfo(dict(annotated_regions=torch.tensor(regions).reshape(-1, 4).float()))
    if gt_attributes is not None:
        sample.gt_attributes = InstanceData(attributes=torch.tensor(gt_attributes))
    return sample


def evaluate(samples, described=None, **kwargs):
    metric = AttributeF1Metric(**kwargs)
    metric.dataset_meta = dict(attributes=SCHEMA, **({} if described is None else dict(
        classes=('WBC', 'RBC'), described=described)))
    metric.process({}, [sample.to_dict() for sample in samples])
    return metric.evaluate(len(samples))


A, B, C = [0.0, 0, 20, 20], [50.0, 50, 80, 80], [100.0, 100, 130, 120]


def test_detection_mode_by_hand():
    """A found with both right; B missed; one false detection: chromatin 2 / (2 + 1 + 1)."""
    scores = evaluate([make_sample([(A, [1, 2]), (B, [1, 0])], [(A, [1, 2], 0.9), (FAR, [1, 2], 0.8)])])
    assert scores['attribute/NC'] == pytest.approx(2 / 4)
    # Shape: value 2 found once and claimed once more, 2 / 3; value 0 missed, 0; value 1 occurs nowhere.
    assert scores['attribute/NS'] == pytest.approx((2 / 3 + 0) / 2)
    assert scores['attribute/macro_f1'] == pytest.approx((2 / 4 + 1 / 3) / 2)
    assert scores['attribute/NC_known'] == 2
    assert [key.removeprefix('attribute/') for key in scores] == ['NC', 'NS', 'NC_known', 'NS_known', 'macro_f1',
                                                                      'macro_f1_attributes']
    assert scores['attribute/macro_f1_attributes'] == 2


def test_false_detections_on_an_empty_image_count():
    found = make_sample([(A, [1, 2])], [(A, [1, 2], 0.9)])
    empty = make_sample([], [(A, [1, 2], 0.9), (B, [1, 0], 0.9), (C, [0, 1], 0.9)])
    assert evaluate([found])['attribute/NC'] == 1.0
    assert evaluate([found, empty])['attribute/NC'] == pytest.approx(2 / (2 + 2))
    nowhere_known = make_sample([], [(A, [1, 2], 0.9), (B, [1, 0], 0.9)], regions=[])
    assert evaluate([found, nowhere_known])['attribute/NC'] == 1.0


def test_false_detections_count_inside_regions_only():
    cells, detections = [(A, [1, 2])], [(A, [1, 2], 0.9), (B, [1, 0], 0.9), (C, [1, 0], 0.9)]
    assert evaluate([make_sample(cells, detections, [[0.0, 0, 90, 90]])])['attribute/NC'] == pytest.approx(2 / 3)
    # A labelled cell counts wherever it lies.
    assert evaluate([make_sample(cells, detections, [[60.0, 60, 70, 70]])])['attribute/NC'] == pytest.approx(2 / 3)


def test_faint_and_disregarded_detections_and_unknown_values():
    cells = [(A, [1, IGNORE]), (B, [IGNORE, IGNORE])]
    detections = [(A, [1, 2], 0.9), (B, [0, 0], 0.8), (FAR, [1, 0], 0.2), (C, [1, 1], 0.9)]
    scores = evaluate([make_sample(cells, detections, ignored=[C])])
    assert scores['attribute/NC'] == 1.0 and scores['attribute/NC_known'] == 1
    assert math.isnan(scores['attribute/NS']) and scores['attribute/macro_f1'] == 1.0
    scores = evaluate([make_sample(cells, detections, ignored=[C])], min_score=0.1)
    assert scores['attribute/NC'] == pytest.approx(2 / 3)


def test_attributes_belong_to_described_classes():
    """A false red cell predicts no attributes; where a red cell is the more confident guess, the cell isn't found."""
    cells = [(A, [1, 2])]
    false_red = make_sample(cells, [(A, [1, 2], 0.9, 0), (FAR, [1, 2], 0.8, 1)])
    assert evaluate([false_red])['attribute/NC'] == pytest.approx(2 / 3)
    assert evaluate([false_red], described=('WBC', 'RBC'))['attribute/NC'] == pytest.approx(2 / 3)
    assert evaluate([false_red], described=('WBC',))['attribute/NC'] == 1.0
    false_white = make_sample(cells, [(A, [1, 2], 0.9, 0), (FAR, [1, 2], 0.8, 0)])
    assert evaluate([false_white], described=('WBC',))['attribute/NC'] == pytest.approx(2 / 3)
    taken_for_red = make_sample(cells, [(A, [1, 2], 0.8, 0), (A, [1, 2], 0.9, 1)])
    assert evaluate([taken_for_red], described=('WBC',))['attribute/NC'] == 0.0


def test_a_cell_has_one_box():
    """A second box of another class on the same cell is no second cell; one beside it is."""
    twice = make_sample([(A, [1, 2])], [(A, [1, 2], 0.8, 0), ([1.0, 0, 21, 20], [1, 0], 0.9, 3)])
    assert evaluate([twice])['attribute/NC'] == 1.0
    assert evaluate([twice])['attribute/NS'] == 0.0  # the more confident box speaks
    assert evaluate([twice], max_overlap=1.0)['attribute/NC'] == pytest.approx(2 / 3)
    beside = make_sample([(A, [1, 2])], [(A, [1, 2], 0.8, 0), ([12.0, 0, 32, 20], [1, 0], 0.9, 3)])
    assert evaluate([beside])['attribute/NC'] == pytest.approx(2 / 3)


def test_a_value_that_never_occurs_is_in_no_mean():
    scores = evaluate([make_sample([(A, [0, 2])], [(A, [0, 2], 0.9)])])
    assert math.isnan(scores['attribute/NC']) and scores['attribute/NC_known'] == 1
    assert scores['attribute/macro_f1'] == 1.0 and scores['attribute/macro_f1_attributes'] == 1


def test_class_aware_matching():
    sample = make_sample([(A, [1, 2], 3)], [(A, [1, 2], 0.9, 4)])
    assert evaluate([sample])['attribute/NC'] == 1.0
    assert evaluate([sample], class_aware=True)['attribute/NC'] == 0.0


@pytest.mark.parametrize('mode', ['detection', 'paper'])
def test_nothing_detected_is_zero(mode):
    prefix = 'attribute' if mode == 'detection' else 'attribute_paper'
    scores = evaluate([make_sample([(A, [1, 2])], []), make_sample([], [])], mode=mode)
    assert scores[f'{prefix}/NC'] == scores[f'{prefix}/NS'] == scores[f'{prefix}/macro_f1'] == 0.0


def test_a_model_without_attributes_for_faint_boxes():
    """Attributes that were never predicted are not found; they claim nothing either."""
    sample = make_sample([(A, [1, 2])], [(A, [IGNORE, IGNORE], 0.9), (FAR, [IGNORE, IGNORE], 0.9)])
    metric = AttributeF1Metric(attributes=SCHEMA)
    metric.process({}, [sample.to_dict()])
    assert metric.results[0].fp.sum() == 0 and metric.results[0].fn.sum() == 2
    assert evaluate([sample], mode='paper')['attribute_paper/NC'] == 0.0


def test_paper_mode_borrows_from_a_neighbour():
    sample = make_sample([(A, [1, 2]), (C, [1, 2])], [([5.0, 5, 30, 30], [1, 2], 0.01)])
    assert evaluate([sample], mode='paper')['attribute_paper/NC'] == 1.0
    assert evaluate([sample])['attribute/NC'] == 0.0


def test_ground_truth_boxes_mode():
    sample = make_sample([(A, [1, 2]), (B, [1, IGNORE])], [], gt_attributes=[[1, 2], [0, 1]])
    scores = evaluate([sample], mode='gt_boxes')
    assert scores['attribute_gt_boxes/NC'] == pytest.approx(2 / 3) and scores['attribute_gt_boxes/NS'] == 1.0
    with pytest.raises(UserError, match='film.png.*on_ground_truth=True'):
        evaluate([make_sample([(A, [1, 2])], [])], mode='gt_boxes')


def test_random_images_agree_with_scikit_learn():
    """Perfect boxes, random values and gaps: F1 of value 1 over everything pooled."""
    rng = np.random.default_rng(0)
    samples, true, found = [], [], []
    for _ in range(5):
        boxes = [[40.0 * i, 0, 40.0 * i + 30, 30] for i in range(6)]
        values, guesses, seen = rng.integers(-1, 2, 6), rng.integers(0, 2, 6), rng.random(6) < 0.8
        samples.append(make_sample([(box, [int(value), IGNORE]) for box, value in zip(boxes, values)],
                                   [(box, [int(guess), 0], 0.9) for box, guess, s in zip(boxes, guesses, seen) if s]))
        true += [value == 1 for value in values if value != IGNORE]
        found += [guess == 1 and s for value, guess, s in zip(values, guesses, seen) if value != IGNORE]
    assert evaluate(samples)['attribute/NC'] == pytest.approx(f1_score(true, found))


def test_several_modes_in_one_evaluation_and_twice():
    evaluator = Evaluator([AttributeF1Metric(mode=mode) for mode in ('detection', 'gt_boxes', 'paper')])
    evaluator.dataset_meta = dict(attributes=SCHEMA)
    sample = make_sample([(A, [1, 2])], [(A, [1, 2], 0.9)], gt_attributes=[[0, 2]])
    runs = []
    for _ in range(2):
        evaluator.process([sample], {})
        runs.append(evaluator.evaluate(1))
    assert runs[0] == runs[1]
    assert runs[0]['attribute/NC'] == runs[0]['attribute_paper/NC'] == 1.0 and runs[0]['attribute_gt_boxes/NC'] == 0.0


def test_order_of_the_papers_tables():
    metric = METRICS.build(dict(type='mmleuk.AttributeF1Metric', attributes='leukemia'))
    counts = [np.zeros((6, 2), int)] * 3
    assert list(metric.compute_metrics([AttributeCounts(*counts)]))[:6] == ['NC', 'NS', 'N', 'C', 'CB', 'CV']
    assert metric.schema.values_by_key == LEUKEMIA_ATTRIBUTES.values_by_key


def test_bad_input():
    with pytest.raises(UserError, match='mode must be one of'):
        AttributeF1Metric(mode='boxes')
    metric = AttributeF1Metric()
    metric.dataset_meta = dict(classes=('WBC',), attributes={})
    with pytest.raises(UserError, match='no attributes'):
        metric.process({}, [])
    sample = make_sample([(A, [1, 2])], [(A, [1, 2], 0.9)])
    del sample.pred_instances.attributes
    with pytest.raises(UserError, match='film.png: pred_instances carries no attributes.*AttriDet'):
        evaluate([sample])
    sample = make_sample([(A, [1, 2])], [])
    with pytest.raises(UserError, match='film.png: its cells have 2 attributes, the schema has 6'):
        evaluate([sample], attributes='leukemia')
