"""YOLOv5's schedule with SLA-Det's terms: 50 epochs, similarity in the first 40 (LLD 5.2)."""

_base_ = './yolov5.py'

custom_hooks = [
    dict(type='mmleuk.YOLOv5WarmupHook', final_factor=0.1, nominal_batch=64),
    dict(type='mmleuk.YOLOv5EMAHook', decay=0.9999, tau=2000),
]
train_cfg = dict(max_epochs=50, val_interval=5)
default_hooks = dict(pseudo_labels=dict(type='mmleuk.PseudoLabelHook', pseudo_epochs=(1, None), triplet_epochs=(1, 40)))
