"""YOLOv5x trained on HCM_100x_C2, tested on LCM_100x_C2 (LLD Table 6: 11.0 / 25.5).

The lower bound.

python tools/train.py configs/domain_adaptation/yolov5x_source-only_hcm-lcm.py
"""

_base_ = [
    '../_base_/models/yolov5x.py',
    '../_base_/datasets/leukemia_attri_640_source.py',
    '../_base_/schedules/leukemia_attri.py',
    '../_base_/default_runtime.py',
]

model = dict(bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size))
