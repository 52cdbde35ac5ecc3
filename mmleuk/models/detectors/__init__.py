"""Detectors."""

from mmleuk.models.detectors.attri_det import AttriDet
from mmleuk.models.detectors.find_and_read import FindAndRead
from mmleuk.models.detectors.post_hoc_cbm import PostHocCBM
from mmleuk.models.detectors.sparse_det import SparseDet
from mmleuk.models.detectors.sparse_label_detector import SparseLabelDetector
from mmleuk.models.detectors.sparse_methods import CoMining, CoStudent, SLADet
from mmleuk.models.detectors.sparse_region_dino import SparseRegionDINO
from mmleuk.models.detectors.tiled import TiledDetector
from mmleuk.models.detectors.tta import CellTTAModel

__all__ = ['AttriDet', 'CellTTAModel', 'CoMining', 'CoStudent', 'FindAndRead', 'PostHocCBM', 'SLADet', 'SparseDet',
           'SparseLabelDetector', 'SparseRegionDINO', 'TiledDetector']
