"""Labellers: which predictions of a sparsely annotated image teach like labels, and why the others don't."""

from mmleuk.models.labellers.base import Labeller, Request
from mmleuk.models.labellers.calibrated import CalibratedLabeller, RegionCalibration
from mmleuk.models.labellers.objectness import ObjectnessLabeller
from mmleuk.models.labellers.other_view import OtherViewLabeller, TeacherMergeLabeller
from mmleuk.models.labellers.thresholds import ThresholdLabeller

__all__ = ['CalibratedLabeller', 'Labeller', 'ObjectnessLabeller', 'OtherViewLabeller', 'RegionCalibration', 'Request',
           'TeacherMergeLabeller', 'ThresholdLabeller']
