"""Detectors."""

from mmleuk.models.detectors.attri_det import AttriDet
from mmleuk.models.detectors.sla_det import SLADet

__all__ = ['AttriDet', 'SLADet']
