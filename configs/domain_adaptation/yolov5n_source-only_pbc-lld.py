"""YOLOv5n trained on PBC, tested on LeukemiaAttri at 40x, leukocytes as one class: the lower bound. 320 px.

MMLEUK_DATA=... python tools/train.py configs/domain_adaptation/yolov5n_source-only_pbc-lld.py
"""

_base_ = [
    '../_base_/models/yolov5n.py',
    '../_base_/datasets/pbc_to_lld_320_source.py',
    '../_base_/schedules/short_15e.py',
    '../_base_/default_runtime.py',
]

model = dict(bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size))
