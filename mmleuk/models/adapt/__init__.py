"""Domain adaptation: detectors that learn from one microscope's labels and another's images."""

from mmleuk.models.adapt.base import SourceTargetDetector, keep_statistics
from mmleuk.models.adapt.conf_mix import ConfMix
from mmleuk.models.adapt.daca import DACA
from mmleuk.models.adapt.stain_teacher import StainTeacher

__all__ = ['DACA', 'ConfMix', 'SourceTargetDetector', 'StainTeacher', 'keep_statistics']
