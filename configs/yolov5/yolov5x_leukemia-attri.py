"""YOLOv5x on LeukemiaAttri, HCM_100x_C2, completely annotated (LLD Table 4, Table 5; settings of LLD 5.1).

python tools/train.py configs/yolov5/yolov5x_leukemia-attri.py
"""

_base_ = [
    '../_base_/models/yolov5x.py',
    '../_base_/datasets/leukemia_attri_640.py',
    '../_base_/schedules/leukemia_attri.py',
    '../_base_/default_runtime.py',
]

model = dict(bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size))
