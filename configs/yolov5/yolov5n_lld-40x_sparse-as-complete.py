"""Baseline: plain training on the sparse labels of LeukemiaAttri at 40x, all types. YOLOv5n, 320 px.

MMLEUK_DATA=... python tools/train.py configs/yolov5/yolov5n_lld-40x_sparse-as-complete.py
"""

_base_ = [
    '../_base_/models/yolov5n.py',
    '../_base_/datasets/lld_40x_320_sparse.py',
    '../_base_/schedules/short_40e.py',
    '../_base_/default_runtime.py',
]

model = dict(bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size))
train_dataloader = dict(dataset=dict(dataset=dict(annotation='complete')))
