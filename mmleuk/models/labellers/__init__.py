"""Labellers: they choose the predictions of a sparsely annotated image that become labels, and reject the others."""

from mmleuk.models.labellers.attribute_check import AttributeCheckLabeller, ReadingBottleneck
from mmleuk.models.labellers.base import Labeller, Request
from mmleuk.models.labellers.calibrated import CalibratedLabeller, RegionCalibration
from mmleuk.models.labellers.objectness import ObjectnessLabeller
from mmleuk.models.labellers.other_view import CalibratedViewLabeller, OtherViewLabeller, TeacherMergeLabeller
from mmleuk.models.labellers.scores import ScoreLabeller
from mmleuk.models.labellers.thresholds import ThresholdLabeller

__all__ = ['AttributeCheckLabeller', 'CalibratedLabeller', 'CalibratedViewLabeller', 'Labeller', 'ObjectnessLabeller',
           'OtherViewLabeller', 'ReadingBottleneck', 'RegionCalibration', 'Request', 'ScoreLabeller',
           'TeacherMergeLabeller', 'ThresholdLabeller']
