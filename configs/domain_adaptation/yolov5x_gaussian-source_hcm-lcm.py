"""ConfMix's and DACA's first phase: YOLOv5x with uncertainties on HCM_100x_C2 (LLD Table 6: not a row of its own).

20 epochs; its last checkpoint is the starting point of both.

python tools/train.py configs/domain_adaptation/yolov5x_gaussian-source_hcm-lcm.py
"""

_base_ = [
    '../_base_/models/yolov5x.py',
    '../_base_/datasets/leukemia_attri_640_source.py',
    '../_base_/schedules/yolov5.py',
    '../_base_/default_runtime.py',
]

model = dict(bbox_head=dict(
    type='mmleuk.GaussianYOLOv5Head', num_classes=_base_.num_classes, image_size=_base_.image_size))
train_cfg = dict(max_epochs=20)
