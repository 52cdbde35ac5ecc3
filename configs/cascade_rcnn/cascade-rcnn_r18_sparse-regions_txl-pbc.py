"""Cascade R-CNN on TXL-PBC's sparse labels; background is sampled only inside the regions.

MMLEUK_DATA=... python tools/train.py configs/cascade_rcnn/cascade-rcnn_r18_sparse-regions_txl-pbc.py
"""

_base_ = [
    '../_base_/models/cascade-rcnn_r18.py',
    '../_base_/datasets/txl_pbc_320_sparse.py',
    '../_base_/schedules/short.py',
    '../_base_/default_runtime.py',
]

model = dict(
    roi_head=dict(
        bbox_head=[dict(head, num_classes=_base_.num_classes) for head in _base_.model.roi_head.bbox_head]),
    train_cfg=dict(
        rpn=dict(sampler=dict(type='mmleuk.SparseRegionSampler')),
        rpn_proposal=dict(nms_pre=500, max_per_img=500),  # most lie outside the regions
        rcnn=[dict(stage, sampler=dict(stage['sampler'], type='mmleuk.SparseRegionSampler'))
              for stage in _base_.model.train_cfg.rcnn]))
