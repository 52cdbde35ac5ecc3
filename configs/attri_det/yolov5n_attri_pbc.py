"""AttriDet: YOLOv5n on PBC with WBCAtt's 11 attributes, 320 px, completely annotated: the upper bound. 15 epochs.

MMLEUK_DATA=... python tools/train.py configs/attri_det/yolov5n_attri_pbc.py
"""

_base_ = [
    '../_base_/models/attri-det_yolov5n.py',
    '../_base_/datasets/pbc_320.py',
    '../_base_/schedules/short_15e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    detector=dict(bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size)),
    attri_head=dict(attributes='wbcatt'))

# WBCAtt's score: the mean over the values of an attribute, of binary ones too.
val_evaluator = [
    _base_.val_evaluator[0],
    dict(type='mmleuk.AttributeF1Metric', binary='macro'),
    dict(type='mmleuk.AttributeF1Metric', binary='macro', mode='gt_boxes'),
]
test_evaluator = val_evaluator
