"""YOLOv5n on LeukemiaAttri at 40x by patient, leukocytes as one class, completely annotated: the upper bound. 320 px.

MMLEUK_DATA=... python tools/train.py configs/yolov5/yolov5n_lld-40x-wbc.py
"""

_base_ = [
    '../_base_/models/yolov5n.py',
    '../_base_/datasets/lld_40x_320_wbc.py',
    '../_base_/schedules/short_40e.py',
    '../_base_/default_runtime.py',
]

model = dict(bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size))
