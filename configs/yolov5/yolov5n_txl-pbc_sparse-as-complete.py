"""Baseline: YOLOv5n with plain training on TXL-PBC's sparse labels."""

_base_ = [
    '../_base_/models/yolov5n.py',
    '../_base_/datasets/txl_pbc_320_sparse.py',
    '../_base_/schedules/short.py',
    '../_base_/default_runtime.py',
]

model = dict(bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size))
train_dataloader = dict(dataset=dict(dataset=dict(annotation='complete')))
