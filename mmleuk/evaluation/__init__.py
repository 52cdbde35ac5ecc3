"""Predictions -> numbers: pure functions, and thin metrics over them."""

from mmleuk.evaluation.attribute_metric import AttributeF1Metric
from mmleuk.evaluation.coco_metric import CocoMetric
from mmleuk.evaluation.majority import MajorityF1Metric

__all__ = ['AttributeF1Metric', 'CocoMetric', 'MajorityF1Metric']
