"""Faster R-CNN on TXL-PBC, a fifth of each training image annotated; background is sampled inside the regions alone.

MMLEUK_DATA=... python tools/train.py configs/faster_rcnn/faster-rcnn_r18_sparse-regions_txl-pbc.py
"""

_base_ = './faster-rcnn_r18_txl-pbc.py'

model = dict(train_cfg=dict(
    rpn=dict(sampler=dict(type='mmleuk.SparseRegionSampler')),
    rpn_proposal=dict(nms_pre=500, max_per_img=500),  # most lie outside the regions
    rcnn=dict(sampler=dict(type='mmleuk.SparseRegionSampler'))))
train_dataloader = dict(dataset=dict(dataset=dict(ann_file='annotations/train_sparse.json', annotation='sparse')))
