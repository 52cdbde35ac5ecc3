"""YOLOv5's schedule as the papers set it: learning rate 0.01 to 0.001, 100 epochs (LLD 5.1)."""

_base_ = './yolov5.py'

custom_hooks = [
    dict(type='mmleuk.YOLOv5WarmupHook', final_factor=0.1, nominal_batch=64),
    dict(type='mmleuk.YOLOv5EMAHook', decay=0.9999, tau=2000),
]
train_cfg = dict(max_epochs=100, val_interval=5)
