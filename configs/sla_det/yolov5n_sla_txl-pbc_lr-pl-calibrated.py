"""LR + PL with thresholds that follow the data: pseudo-labels of the moving average, measured in the annotated regions.

YOLOv5n, TXL-PBC. Ours, beside the paper's fixed thresholds.

MMLEUK_DATA=... python tools/train.py configs/sla_det/yolov5n_sla_txl-pbc_lr-pl-calibrated.py
"""

_base_ = './yolov5n_sla_txl-pbc_lr.py'

model = dict(
    _delete_=True,
    type='mmleuk.SparseLabelDetector',
    detector=_base_.model,
    labeller=dict(type='mmleuk.CalibratedLabeller', num_classes=_base_.num_classes),
    asks='teacher')
default_hooks = dict(
    pseudo_labels=dict(type='mmleuk.PseudoLabelHook', pseudo_epochs=(11, None)),
    teacher=dict(type='mmleuk.EMATeacherHook'))
