"""L_LR alone on LeukemiaAttri at 40x by patient, all types. YOLOv5n, 320 px, 40 epochs.

MMLEUK_DATA=... python tools/train.py configs/sla_det/yolov5n_sla_lld-40x_lr.py
"""

_base_ = [
    '../_base_/models/yolov5n.py',
    '../_base_/datasets/lld_40x_320_sparse.py',
    '../_base_/schedules/short_40e.py',
    '../_base_/default_runtime.py',
]

model = dict(bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size, truth='regions'))
