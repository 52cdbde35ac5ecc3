"""Baseline: Faster R-CNN with plain training on TXL-PBC's sparse labels."""

_base_ = [
    '../_base_/models/faster-rcnn_r18.py',
    '../_base_/datasets/txl_pbc_320_sparse.py',
    '../_base_/schedules/short.py',
    '../_base_/default_runtime.py',
]

model = dict(roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes)))
train_dataloader = dict(dataset=dict(dataset=dict(annotation='complete')))
