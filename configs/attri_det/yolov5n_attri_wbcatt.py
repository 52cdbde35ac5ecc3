"""AttriDet: YOLOv5n on TXL-PBC's PBC images with WBCAtt's 11 attributes, 320 px, 40 epochs on a CPU.

MMLEUK_DATA=... python tools/train.py configs/attri_det/yolov5n_attri_wbcatt.py
"""

_base_ = [
    '../_base_/models/attri-det_yolov5n.py',
    '../_base_/datasets/wbcatt_320.py',
    '../_base_/schedules/short.py',
    '../_base_/default_runtime.py',
]

# The class gain: as in configs/yolov5/yolov5n_wbcatt.py.
model = dict(
    detector=dict(bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size, gain_class=3.0)),
    attri_head=dict(attributes='wbcatt'))
train_cfg = dict(max_epochs=40, val_interval=10)

# WBCAtt's score: the mean over the values of an attribute, of binary ones too.
val_evaluator = [
    _base_.val_evaluator[0],
    dict(type='mmleuk.AttributeF1Metric', binary='macro'),
    dict(type='mmleuk.AttributeF1Metric', binary='macro', mode='gt_boxes'),
]
test_evaluator = val_evaluator
