"""Faster R-CNN on TXL-PBC, a fifth of each training image annotated; proposals and background come from the regions.

MMLEUK_DATA=... python tools/train.py configs/faster_rcnn/faster-rcnn_r18_region-proposals_txl-pbc.py
"""

_base_ = './faster-rcnn_r18_sparse-regions_txl-pbc.py'

model = dict(rpn_head=dict(type='mmleuk.SparseRegionRPNHead'))
