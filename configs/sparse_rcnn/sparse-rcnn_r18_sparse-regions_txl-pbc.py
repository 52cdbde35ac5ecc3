"""Sparse R-CNN on TXL-PBC's sparse labels; background queries count inside the regions alone.

MMLEUK_DATA=... python tools/train.py configs/sparse_rcnn/sparse-rcnn_r18_sparse-regions_txl-pbc.py
"""

_base_ = './sparse-rcnn_r18_txl-pbc.py'

model = dict(
    roi_head=dict(bbox_head=[
        dict(head, type='mmleuk.SparseRegionDIIHead') for head in _base_.model.roi_head.bbox_head]),
    train_cfg=dict(rcnn=[
        dict(stage, sampler=dict(type='mmleuk.SparseRegionPseudoSampler')) for stage in _base_.model.train_cfg.rcnn]))
train_dataloader = dict(dataset=dict(dataset=dict(ann_file='annotations/train_sparse.json', annotation='sparse')))
