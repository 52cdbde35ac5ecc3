"""L_LR, and outside the regions a positive-unlabelled loss of the objectness: YOLOv5n on TXL-PBC at 320 px. 20 epochs.

MMLEUK_DATA=... python tools/train.py configs/sla_det/yolov5n_sla_txl-pbc_lr-pu.py
"""

_base_ = [
    '../_base_/models/yolov5n.py',
    '../_base_/datasets/txl_pbc_320_sparse.py',
    '../_base_/schedules/short.py',
    '../_base_/default_runtime.py',
]

model = dict(bbox_head=dict(
    type='mmleuk.PositiveUnlabelledYOLOv5Head',
    truth='regions',
    num_classes=_base_.num_classes,
    image_size=_base_.image_size))
