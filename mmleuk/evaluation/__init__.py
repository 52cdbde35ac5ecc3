"""Predictions -> numbers: pure functions, and thin metrics over them."""

from mmleuk.evaluation.attribute_metric import AttributeF1Metric
from mmleuk.evaluation.coco_metric import CocoMetric
from mmleuk.evaluation.disagreement import DisagreementMetric
from mmleuk.evaluation.majority import MajorityF1Metric

__all__ = ['AttributeF1Metric', 'CocoMetric', 'DisagreementMetric', 'MajorityF1Metric']
