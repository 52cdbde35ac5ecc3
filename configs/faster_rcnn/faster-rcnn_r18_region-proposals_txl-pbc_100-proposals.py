"""Faster R-CNN on TXL-PBC's sparse labels; in training 100 proposals per image, all from the regions.

MMLEUK_DATA=... python tools/train.py configs/faster_rcnn/faster-rcnn_r18_region-proposals_txl-pbc_100-proposals.py
"""

_base_ = [
    '../_base_/models/faster-rcnn_r18.py',
    '../_base_/datasets/txl_pbc_320_sparse.py',
    '../_base_/schedules/short.py',
    '../_base_/default_runtime.py',
]

model = dict(
    rpn_head=dict(type='mmleuk.SparseRegionRPNHead'),
    roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes)),
    train_cfg=dict(
        rpn=dict(sampler=dict(type='mmleuk.SparseRegionSampler')),
        rcnn=dict(sampler=dict(type='mmleuk.SparseRegionSampler'))))
