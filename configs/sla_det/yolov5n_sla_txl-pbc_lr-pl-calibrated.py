"""LR + PL with thresholds that follow the data: pseudo-labels of the moving average, calibrated in the regions.

YOLOv5n, TXL-PBC. Ours, beside the paper's fixed thresholds.

MMLEUK_DATA=... python tools/train.py configs/sla_det/yolov5n_sla_txl-pbc_lr-pl-calibrated.py
"""

_base_ = [
    '../_base_/models/calibrated_yolov5n.py',
    '../_base_/datasets/txl_pbc_320_sparse.py',
    '../_base_/schedules/short.py',
    '../_base_/default_runtime.py',
]

model = dict(
    detector=dict(bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size)),
    labeller=dict(num_classes=_base_.num_classes))
default_hooks = dict(
    pseudo_labels=dict(type='mmleuk.PseudoLabelHook', pseudo_epochs=(11, None)),
    teacher=dict(type='mmleuk.EMATeacherHook'))
