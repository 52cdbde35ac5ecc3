"""L_LR, and outside the regions a positive-unlabelled loss of the objectness: YOLOv5n on PBC at 320 px. 15 epochs.

MMLEUK_DATA=... python tools/train.py configs/sla_det/yolov5n_sla_pbc_lr-pu.py
"""

_base_ = [
    '../_base_/models/yolov5n.py',
    '../_base_/datasets/pbc_320_sparse.py',
    '../_base_/schedules/short_15e.py',
    '../_base_/default_runtime.py',
]

model = dict(bbox_head=dict(
    type='mmleuk.PositiveUnlabelledYOLOv5Head',
    truth='regions',
    num_classes=_base_.num_classes,
    image_size=_base_.image_size))
