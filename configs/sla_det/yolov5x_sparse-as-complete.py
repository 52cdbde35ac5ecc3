"""Baseline: YOLOv5x with plain training on the sparse labels of Sparse-LeukemiaAttri; 50 epochs as SLA-Det."""

_base_ = [
    '../_base_/models/yolov5x.py',
    '../_base_/datasets/sparse_leukemia_attri_640.py',
    '../_base_/schedules/leukemia_attri.py',
    '../_base_/default_runtime.py',
]

model = dict(bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size))
train_dataloader = dict(dataset=dict(dataset=dict(annotation='complete')))
train_cfg = dict(max_epochs=50)
