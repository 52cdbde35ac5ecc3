"""YOLOv5x trained and tested on LCM_100x_C2 (LLD Table 6: not there; Table 4 has it: 29.7 mAP@50).

The upper bound.

python tools/train.py configs/domain_adaptation/yolov5x_oracle_hcm-lcm.py
"""

_base_ = [
    '../_base_/models/yolov5x.py',
    '../_base_/datasets/leukemia_attri_640_source.py',
    '../_base_/schedules/leukemia_attri.py',
    '../_base_/default_runtime.py',
]

model = dict(bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size))
train_dataloader = dict(dataset=dict(dataset=dict(subset='LCM_100x_C2')))
