"""AttriDet: YOLOv5n on TXL-PBC's PBC images with WBCAtt's 11 attributes, 320 px, 40 epochs on a CPU.

MMLEUK_DATA=... python tools/train.py configs/attri_det/yolov5n_attri_wbcatt.py
"""

_base_ = '../yolov5/yolov5n_wbcatt.py'

model = dict(
    _delete_=True,
    type='mmleuk.AttriDet',
    detector={{_base_.model}},
    attri_head=dict(type='mmleuk.AttriHead', attributes='wbcatt'),
    feature_layers=('backbone.stage1', 'backbone.stage2'),
    min_score=0.05,
    on_ground_truth=True)

# WBCAtt's score: the mean over the values of an attribute, of binary ones too.
val_evaluator = [
    _base_.val_evaluator[0],
    dict(type='mmleuk.AttributeF1Metric', binary='macro'),
    dict(type='mmleuk.AttributeF1Metric', binary='macro', mode='gt_boxes'),
]
test_evaluator = val_evaluator
