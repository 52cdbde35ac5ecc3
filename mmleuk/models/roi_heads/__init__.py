"""Heads that look at boxes: the attributes of cells, classes and places."""

from mmleuk.models.roi_heads.attri_head import AttriHead
from mmleuk.models.roi_heads.concept_bottleneck import ConceptBottleneck
from mmleuk.models.roi_heads.double_head import DoubleConvFCBBoxHead
from mmleuk.models.roi_heads.soft_sampling_head import SoftSamplingBBoxHead
from mmleuk.models.roi_heads.sparse_rcnn import EmbeddingRPNHead, SparseRegionDIIHead

__all__ = ['AttriHead', 'ConceptBottleneck', 'DoubleConvFCBBoxHead', 'EmbeddingRPNHead', 'SoftSamplingBBoxHead',
           'SparseRegionDIIHead']
