"""Baseline: AttriDet on PBC, plain training on sparse labels. YOLOv5n, 320 px, 15 epochs.

MMLEUK_DATA=... python tools/train.py configs/attri_det/yolov5n_attri_pbc_sparse-as-complete.py
"""

_base_ = [
    '../_base_/models/attri-det_yolov5n.py',
    '../_base_/datasets/pbc_320_sparse.py',
    '../_base_/schedules/short_15e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    detector=dict(bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size)),
    attri_head=dict(attributes='wbcatt'))
train_dataloader = dict(dataset=dict(dataset=dict(annotation='complete')))

# WBCAtt's score: the mean over the values of an attribute, of binary ones too.
val_evaluator = [
    _base_.val_evaluator[0],
    dict(type='mmleuk.AttributeF1Metric', binary='macro'),
    dict(type='mmleuk.AttributeF1Metric', binary='macro', mode='gt_boxes'),
]
test_evaluator = val_evaluator
