"""Predictions -> scores: pure functions, and thin metrics that call them. Metrics are imported on first use."""

from typing import TYPE_CHECKING

from mmleuk.utils.lazy import lazy_names

if TYPE_CHECKING:
    from mmleuk.evaluation.attribute_metric import AttributeF1Metric
    from mmleuk.evaluation.coco_metric import CocoMetric
    from mmleuk.evaluation.crop_metric import CropAttributeMetric
    from mmleuk.evaluation.disagreement import DisagreementMetric
    from mmleuk.evaluation.majority import MajorityF1Metric

__all__ = ['AttributeF1Metric', 'CocoMetric', 'CropAttributeMetric', 'DisagreementMetric', 'MajorityF1Metric']

__getattr__ = lazy_names(__name__, {
    'AttributeF1Metric': 'attribute_metric', 'CocoMetric': 'coco_metric',
    'CropAttributeMetric': 'crop_metric', 'DisagreementMetric': 'disagreement', 'MajorityF1Metric': 'majority'})
