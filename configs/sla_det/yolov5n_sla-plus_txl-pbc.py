"""SLA-Det+: pseudo-labels from the moving average, trusted as far as the annotated regions show. YOLOv5n, TXL-PBC.

MMLEUK_DATA=... python tools/train.py configs/sla_det/yolov5n_sla-plus_txl-pbc.py
"""

_base_ = '../yolov5/yolov5n_txl-pbc.py'

model = dict(type='mmleuk.SLADetPlus', bbox_head=dict(truth='regions'))
train_dataloader = dict(dataset=dict(dataset=dict(ann_file='annotations/train_sparse.json', annotation='sparse')))
default_hooks = dict(
    pseudo_labels=dict(type='mmleuk.PseudoLabelHook', pseudo_epochs=(3, None)),
    teacher=dict(type='mmleuk.EMATeacherHook'))
