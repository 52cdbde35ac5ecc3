"""YOLOv5n on TXL-PBC's PBC images: 5 leukocyte types, RBC, platelets; detection alone, 320 px."""

_base_ = [
    '../_base_/models/yolov5n.py',
    '../_base_/datasets/wbcatt_320.py',
    '../_base_/schedules/yolov5.py',
    '../_base_/default_runtime.py',
]

model = dict(bbox_head=dict(num_classes=7, image_size=320))
train_cfg = dict(max_epochs=40, val_interval=10)
custom_hooks = [
    dict(type='mmleuk.YOLOv5WarmupHook', warmup_epochs=2.0, nominal_batch=None),
    dict(type='mmleuk.YOLOv5EMAHook', decay=0.9999, tau=2000),
]
