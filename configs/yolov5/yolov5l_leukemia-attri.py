"""YOLOv5l on LeukemiaAttri, HCM_100x_C2, completely annotated (LLD Table 4, Table 5; settings of LLD 5.1).

python tools/train.py configs/yolov5/yolov5l_leukemia-attri.py
"""

_base_ = [
    '../_base_/models/yolov5l.py',
    '../_base_/datasets/leukemia_attri_640.py',
    '../_base_/schedules/yolov5.py',
    '../_base_/default_runtime.py',
]

model = dict(bbox_head=dict(num_classes=14))
train_cfg = dict(max_epochs=100, val_interval=5)
custom_hooks = [
    dict(type='mmleuk.YOLOv5WarmupHook', final_factor=0.1, nominal_batch=64),
    dict(type='mmleuk.YOLOv5EMAHook', decay=0.9999, tau=2000),
]
