"""CBM beside a trained YOLOv5n on rendered films at 320 px, completely annotated.

MMLEUK_DATA=... python tools/train.py configs/yolov5/yolov5n_synthetic.py    # the detector
MMLEUK_DATA=... python tools/train.py configs/cbm/yolov5n_cbm_synthetic.py
"""

_base_ = [
    '../_base_/models/cbm_yolov5n.py',
    '../_base_/datasets/synthetic_320.py',
    '../_base_/schedules/short_10e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    detector=dict(  # as in configs/yolov5/yolov5n_synthetic.py
        bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size, gain_class=3.0),
        test_cfg=dict(score_thr=0.01, nms_pre=2000)),
    detector_checkpoint='work_dirs/yolov5n_synthetic/epoch_10.pth',
    bottleneck=dict(attributes='leukemia', num_classes=_base_.num_classes))

val_evaluator = _base_.val_evaluator + [
    dict(type='mmleuk.AttributeF1Metric'),
    dict(type='mmleuk.AttributeF1Metric', mode='gt_boxes'),
    dict(type='mmleuk.DisagreementMetric'),
]
test_evaluator = val_evaluator
