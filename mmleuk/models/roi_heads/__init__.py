"""Heads that classify and refine boxes."""

from mmleuk.models.roi_heads.double_head import DoubleConvFCBBoxHead
from mmleuk.models.roi_heads.soft_sampling_head import SoftSamplingBBoxHead
from mmleuk.models.roi_heads.sparse_rcnn import EmbeddingRPNHead, SparseRegionDIIHead

__all__ = ['DoubleConvFCBBoxHead', 'EmbeddingRPNHead', 'SoftSamplingBBoxHead', 'SparseRegionDIIHead']
