"""Detectors."""

from mmleuk.models.detectors.attri_det import AttriDet
from mmleuk.models.detectors.co_mining import CoMining
from mmleuk.models.detectors.co_student import CoStudent
from mmleuk.models.detectors.post_hoc_cbm import PostHocCBM
from mmleuk.models.detectors.sla_det import SLADet
from mmleuk.models.detectors.sla_det_plus import SLADetPlus
from mmleuk.models.detectors.sparse_det import SparseDet
from mmleuk.models.detectors.tiled import TiledDetector
from mmleuk.models.detectors.tta import CellTTAModel

__all__ = ['AttriDet', 'CellTTAModel', 'CoMining', 'CoStudent', 'PostHocCBM', 'SLADet', 'SLADetPlus', 'SparseDet',
           'TiledDetector']
