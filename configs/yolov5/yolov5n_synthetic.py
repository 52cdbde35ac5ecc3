"""YOLOv5n on rendered films at 320 px, completely annotated, detection alone."""

_base_ = [
    '../_base_/models/yolov5n.py',
    '../_base_/datasets/synthetic_320.py',
    '../_base_/schedules/yolov5.py',
    '../_base_/default_runtime.py',
]

model = dict(bbox_head=dict(num_classes=14, image_size=320))
train_cfg = dict(max_epochs=20, val_interval=10)
custom_hooks = [
    dict(type='mmleuk.EpochSeedHook'),
    dict(type='mmleuk.YOLOv5WarmupHook', warmup_epochs=2.0, nominal_batch=None),
    dict(type='mmleuk.YOLOv5EMAHook', decay=0.9999, tau=2000),
]
