"""Heads that look at boxes: the attributes of cells."""

from mmleuk.models.roi_heads.attri_head import AttriHead
from mmleuk.models.roi_heads.soft_sampling_head import SoftSamplingBBoxHead

__all__ = ['AttriHead', 'SoftSamplingBBoxHead']
