"""Ablation: only the labelled-region loss (LLD Table 8, first row): plain YOLOv5x, Sparse-LeukemiaAttri."""

_base_ = [
    '../_base_/models/yolov5x.py',
    '../_base_/datasets/sparse_leukemia_attri_640.py',
    '../_base_/schedules/leukemia_attri.py',
    '../_base_/default_runtime.py',
]

model = dict(bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size, truth='regions'))
train_cfg = dict(max_epochs=50)
