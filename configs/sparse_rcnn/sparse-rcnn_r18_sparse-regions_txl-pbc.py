"""Sparse R-CNN on TXL-PBC's sparse labels; background queries count only inside the regions.

MMLEUK_DATA=... python tools/train.py configs/sparse_rcnn/sparse-rcnn_r18_sparse-regions_txl-pbc.py
"""

_base_ = [
    '../_base_/models/sparse-rcnn_r18.py',
    '../_base_/datasets/txl_pbc_320_sparse.py',
    '../_base_/schedules/short.py',
    '../_base_/default_runtime.py',
]

model = dict(
    roi_head=dict(bbox_head=[
        dict(head, type='mmleuk.SparseRegionDIIHead', num_classes=_base_.num_classes)
        for head in _base_.model.roi_head.bbox_head]),
    train_cfg=dict(rcnn=[
        dict(stage, sampler=dict(type='mmleuk.SparseRegionPseudoSampler')) for stage in _base_.model.train_cfg.rcnn]))
optim_wrapper = dict(optimizer=dict(lr=0.0005), clip_grad=dict(max_norm=1.0))
