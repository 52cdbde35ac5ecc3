"""YOLOv5n on TXL-PBC at 320 px, completely annotated: the upper bound for the sparse configs. 20 epochs on a CPU.

MMLEUK_DATA=... python tools/train.py configs/yolov5/yolov5n_txl-pbc.py
"""

_base_ = [
    '../_base_/models/yolov5n.py',
    '../_base_/datasets/txl_pbc_320.py',
    '../_base_/schedules/yolov5.py',
    '../_base_/default_runtime.py',
]

model = dict(bbox_head=dict(num_classes=3, image_size=320))
train_cfg = dict(max_epochs=20, val_interval=5)
custom_hooks = [
    dict(type='mmleuk.YOLOv5WarmupHook', warmup_epochs=2.0, nominal_batch=None),
    dict(type='mmleuk.YOLOv5EMAHook', decay=0.9999, tau=2000),
]
