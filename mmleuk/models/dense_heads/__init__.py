"""Dense heads."""

from mmleuk.models.dense_heads.gaussian_yolov5_head import GaussianYOLOv5Head
from mmleuk.models.dense_heads.positive_unlabelled_head import PositiveUnlabelledYOLOv5Head
from mmleuk.models.dense_heads.soft_sampling_head import SoftSamplingYOLOv5Head
from mmleuk.models.dense_heads.sparse_region_heads import SparseRegionDINOHead, SparseRegionFCOSHead
from mmleuk.models.dense_heads.sparse_region_rpn import SparseRegionRPNHead
from mmleuk.models.dense_heads.yolov5_head import YOLOv5Head

__all__ = ['GaussianYOLOv5Head', 'PositiveUnlabelledYOLOv5Head', 'SoftSamplingYOLOv5Head', 'SparseRegionDINOHead',
           'SparseRegionFCOSHead', 'SparseRegionRPNHead', 'YOLOv5Head']
