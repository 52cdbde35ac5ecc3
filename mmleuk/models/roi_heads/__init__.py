"""Heads that look at boxes: the attributes of cells."""

from mmleuk.models.roi_heads.attri_head import AttriHead

__all__ = ['AttriHead']
