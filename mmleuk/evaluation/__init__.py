"""Predictions -> numbers: pure functions, and thin metrics over them."""

from mmleuk.evaluation.attribute_metric import AttributeF1Metric
from mmleuk.evaluation.coco_metric import CocoMetric

__all__ = ['AttributeF1Metric', 'CocoMetric']
