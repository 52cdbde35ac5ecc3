"""Scores of given cells through the metric, with the type apart, and the baseline of the most frequent values."""

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from sklearn.metrics import f1_score

from mmleuk.errors import UserError
from mmleuk.evaluation import CropAttributeMetric
from mmleuk.registry import METRICS, MODELS
from mmleuk.schema import IGNORE, AttributeSchema

SCHEMA = {'cell_type': ['disc', 'ring'], 'hue': ['red', 'blue', 'grey'], 'size': ['small', 'big']}


def sample(values, probs=None):
    made = DetDataSample(metainfo=dict(img_path='cell.png'))
    made.gt_instances = InstanceData(attributes=torch.tensor(values).reshape(-1, 3), labels=torch.zeros(len(values)))
    if probs is not None:
        made.gt_attributes = InstanceData(attribute_probs=torch.tensor(probs).reshape(-1, 3, 3))
    return made


def one_hot(*values):
    return np.eye(3, dtype=np.float32)[list(values)].tolist()


def scored(samples, **options):
    metric = METRICS.build(dict(type='mmleuk.CropAttributeMetric', attributes=SCHEMA, resamples=200, **options))
    metric.process({}, [each.to_dict() for each in samples])
    return metric.evaluate(len(samples))


def test_means_leave_the_type_out():
    truth = [[0, 0, 0], [1, 1, 1], [0, 2, IGNORE], [1, 0, 0]]
    found = [[0, 0, 1], [1, 1, 1], [1, 1, 0], [1, 0, 0]]
    scores = scored([sample([true], [one_hot(*values)]) for true, values in zip(truth, found)])
    hue = f1_score([0, 1, 2, 0], [0, 1, 1, 0], average='macro', zero_division=0)
    size = f1_score([0, 1, 0], [1, 1, 0], average='macro', zero_division=0)
    assert scores['attributes/hue'] == pytest.approx(hue)
    assert scores['attributes/macro_f1'] == pytest.approx((hue + size) / 2)
    assert scores['attributes/accuracy'] == pytest.approx((3 / 4 + 2 / 3) / 2)
    assert scores['attributes/type_accuracy'] == 0.75
    assert scores['attributes/ece'] == pytest.approx(2 / 7)  # certain of all, wrong in two of seven
    assert scores['attributes/macro_f1_low'] <= scores['attributes/macro_f1'] <= scores['attributes/macro_f1_high']


def test_without_a_type_there_is_no_type_score():
    assert 'attributes/type_accuracy' not in scored([sample([[0, 0, 0]], [one_hot(0, 0, 0)])], type_attribute='kind')


def test_all_unknown_and_no_cell_are_undefined():
    for samples in ([sample([[IGNORE] * 3], [one_hot(0, 0, 0)])], [sample([], [])]):
        scores = scored(samples)
        assert np.isnan([scores['attributes/macro_f1'], scores['attributes/ece'], scores['attributes/hue']]).all()


@pytest.mark.parametrize('broken, message', [
    (sample([[0, 0, 0]]), 'cell.png: no attributes were predicted'),
    (sample([[0, 0, 0]], [one_hot(0, 0, 0), one_hot(0, 0, 0)]), 'give data set, model and metric the same schema')])
def test_bad_samples_are_named(broken, message):
    with pytest.raises(UserError, match=message):
        scored([broken])


def test_tables_have_a_row_per_attribute_and_value():
    metric = CropAttributeMetric(attributes=SCHEMA)
    metric.process({}, [sample([[0, 0, 0]], [one_hot(0, 1, 0)]).to_dict()])
    readings = metric.readings(metric.results)
    assert [row['attribute'] for row in readings.rows()] == ['Cell Type', 'Hue', 'Size']
    rows = readings.value_rows()
    assert len(rows) == sum(AttributeSchema.from_dict(SCHEMA).cardinalities)
    assert [row['f1'] for row in rows if row['attribute'] == 'Hue'] == [0, 0, None]


def test_most_frequent_values_are_counted_and_predicted():
    model = MODELS.build(dict(type='mmleuk.MostFrequentValues', attributes=SCHEMA))
    images = torch.zeros(1, 3, 8, 8)
    for values in ([0, 2, 1], [1, 2, IGNORE], [1, 0, IGNORE]):
        assert model.loss(images, [sample([values])])['loss_attributes'].requires_grad
    found, = model.eval().predict(images, [sample([[0, 0, 0]])])
    assert found.gt_attributes.attributes.tolist() == [[1, 2, 1]]
    assert found.gt_attributes.attribute_probs[0].tolist() == [
        pytest.approx([1 / 3, 2 / 3, 0]), pytest.approx([1 / 3, 0, 2 / 3]), [0, 1, 0]]


def test_most_frequent_values_without_any_count():
    model = MODELS.build(dict(type='mmleuk.MostFrequentValues', attributes=SCHEMA)).eval()
    found, = model.predict(torch.zeros(1, 3, 8, 8), [sample([[0, 0, 0]])])
    assert found.gt_attributes.attribute_probs.sum() == 0
