"""Disagreement as a monitor of false detections."""

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from mmleuk.errors import UserError
from mmleuk.registry import METRICS

A, B, FAR = [0.0, 0, 20, 20], [50.0, 50, 80, 80], [200.0, 200, 230, 230]


def make_sample(cells, detections, ignored=(), regions=(0.0, 0, 300, 300)):
    """Cells are (box, label), detections (box, label, score, flag)."""
    sample = DetDataSample(metainfo=dict(img_path='film.png'))
    for name, boxes in (('gt_instances', cells), ('ignored_instances', ignored)):
        setattr(sample, name, InstanceData(bboxes=torch.tensor([box for box, _ in boxes]).reshape(-1, 4),
                                           labels=torch.tensor([label for _, label in boxes], dtype=torch.int64)))
    sample.pred_instances = InstanceData(
        bboxes=torch.tensor([found[0] for found in detections]).reshape(-1, 4),
        labels=torch.tensor([found[1] for found in detections], dtype=torch.int64),
        scores=torch.tensor([found[2] for found in detections]).float(),
        disagrees=torch.tensor([found[3] for found in detections], dtype=torch.bool))
    sample.set_metainfo(dict(annotated_regions=torch.tensor(regions).reshape(-1, 4)))
    return sample


def evaluate(*samples):
    metric = METRICS.build(dict(type='mmleuk.DisagreementMetric'))
    metric.process({}, [sample.to_dict() for sample in samples])
    return {key.removeprefix('monitor/'): value for key, value in metric.evaluate(len(samples)).items()}


def test_by_hand():
    """Right: A's; B's, flagged. False: one far off, flagged; a second on A; one of another class, flagged."""
    sample = make_sample([(A, 0), (B, 1)], [
        (A, 0, 0.9, False), (B, 1, 0.8, True), (FAR, 0, 0.9, True), (A, 0, 0.7, False), (A, 1, 0.6, True),
        (FAR, 1, 0.1, True)])
    assert evaluate(sample) == pytest.approx(
        dict(right=2, false=3, flagged=3, right_flagged=1 / 2, false_flagged=2 / 3, flagged_false=2 / 3))


def test_images_add_up_and_empty_ones_count():
    one = make_sample([(A, 0)], [(A, 0, 0.9, False)])
    two = make_sample([], [(A, 0, 0.9, True)])
    assert evaluate(one, two, make_sample([], [])) == dict(
        right=1, false=1, flagged=1, right_flagged=0, false_flagged=1, flagged_false=1)
    assert set(evaluate(make_sample([], [])).values()) == {0}


def test_unknown_places_and_ignored_cells_play_no_part():
    outside = make_sample([(A, 0)], [(A, 0, 0.9, False), (FAR, 0, 0.9, True)], regions=[0.0, 0, 100, 100])
    on_ignored = make_sample([], [(B, 1, 0.9, True), (B, 1, 0.8, True)], ignored=[(B, 1)])
    assert evaluate(outside, on_ignored) == dict(
        right=1, false=0, flagged=0, right_flagged=0, false_flagged=0, flagged_false=0)


def test_a_sample_without_regions_is_refused():
    """Unknown where: nothing is taken for known."""
    sample = make_sample([(A, 0)], [(A, 0, 0.9, False)])
    sample.pop('annotated_regions')
    with pytest.raises(UserError, match='film.png: carries no annotated_regions'):
        evaluate(sample)


def test_other_models_are_refused():
    sample = make_sample([(A, 0)], [(A, 0, 0.9, False)])
    del sample.pred_instances.disagrees
    with pytest.raises(UserError, match='mmleuk.PostHocCBM'):
        evaluate(sample)
