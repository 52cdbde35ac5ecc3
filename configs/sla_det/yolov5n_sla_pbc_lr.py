"""SLA-Det's labelled-region loss alone: YOLOv5n on PBC's sparse labels at 320 px. 15 epochs.

MMLEUK_DATA=... python tools/train.py configs/sla_det/yolov5n_sla_pbc_lr.py
"""

_base_ = '../yolov5/yolov5n_pbc.py'

model = dict(bbox_head=dict(truth='regions'))
train_dataloader = dict(dataset=dict(dataset=dict(ann_file='annotations/train_sparse.json', annotation='sparse')))
