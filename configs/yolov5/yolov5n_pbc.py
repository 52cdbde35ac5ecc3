"""YOLOv5n on PBC at 320 px, completely annotated: the upper bound for the sparse configs. 15 epochs.

MMLEUK_DATA=... python tools/train.py configs/yolov5/yolov5n_pbc.py
"""

_base_ = [
    '../_base_/models/yolov5n.py',
    '../_base_/datasets/pbc_320.py',
    '../_base_/schedules/short_15e.py',
    '../_base_/default_runtime.py',
]

model = dict(bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size))
