"""CBM beside a trained YOLOv5n: TXL-PBC's PBC images, WBCAtt's 11 attributes, 320 px, 40 epochs on a CPU.

MMLEUK_DATA=... python tools/train.py configs/yolov5/yolov5n_wbcatt.py    # the detector
MMLEUK_DATA=... python tools/train.py configs/cbm/yolov5n_cbm_wbcatt.py
"""

_base_ = [
    '../_base_/models/cbm_yolov5n.py',
    '../_base_/datasets/wbcatt_320.py',
    '../_base_/schedules/short.py',
    '../_base_/default_runtime.py',
]

model = dict(
    detector=dict(  # as in configs/yolov5/yolov5n_wbcatt.py
        bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size, gain_class=3.0)),
    detector_checkpoint='work_dirs/yolov5n_wbcatt/epoch_40.pth',
    bottleneck=dict(attributes='wbcatt', num_classes=_base_.num_classes))
train_cfg = dict(max_epochs=40, val_interval=10)

val_evaluator = [
    _base_.val_evaluator[0],
    dict(type='mmleuk.AttributeF1Metric', binary='macro'),
    dict(type='mmleuk.AttributeF1Metric', binary='macro', mode='gt_boxes'),
    dict(type='mmleuk.DisagreementMetric'),
]
test_evaluator = val_evaluator
