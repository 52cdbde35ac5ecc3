"""LR + PL with thresholds that follow the data: pseudo-labels of the moving average, measured in the annotated regions.

YOLOv5n, TXL-PBC. Ours (mmleuk.SLADetPlus), beside the paper's fixed thresholds.

MMLEUK_DATA=... python tools/train.py configs/sla_det/yolov5n_sla_txl-pbc_lr-pl-calibrated.py
"""

_base_ = '../yolov5/yolov5n_txl-pbc.py'

model = dict(type='mmleuk.SLADetPlus', bbox_head=dict(truth='regions'))
train_dataloader = dict(dataset=dict(dataset=dict(ann_file='annotations/train_sparse.json', annotation='sparse')))
default_hooks = dict(
    pseudo_labels=dict(type='mmleuk.PseudoLabelHook', pseudo_epochs=(11, None)),
    teacher=dict(type='mmleuk.EMATeacherHook'))
