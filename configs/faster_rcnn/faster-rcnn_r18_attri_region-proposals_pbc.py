"""AttriDet with Faster R-CNN on PBC's sparse labels, 320 px, 15 epochs; proposals and background come from the regions.

MMLEUK_DATA=... python tools/train.py configs/faster_rcnn/faster-rcnn_r18_attri_region-proposals_pbc.py
"""

_base_ = './faster-rcnn_r18_attri_sparse-regions_pbc.py'

model = dict(detector=dict(rpn_head=dict(type='mmleuk.SparseRegionRPNHead')))
