"""Detectors."""

from mmleuk.models.detectors.attri_det import AttriDet
from mmleuk.models.detectors.sla_det import SLADet
from mmleuk.models.detectors.tiled import TiledDetector

__all__ = ['AttriDet', 'SLADet', 'TiledDetector']
