"""CBM beside a trained YOLOv5n on rendered films at 320 px, completely annotated.

MMLEUK_DATA=... python tools/train.py configs/yolov5/yolov5n_synthetic.py    # the detector
MMLEUK_DATA=... python tools/train.py configs/cbm/yolov5n_cbm_synthetic.py
"""

_base_ = '../yolov5/yolov5n_synthetic.py'

model = dict(
    _delete_=True,
    type='mmleuk.PostHocCBM',
    detector={{_base_.model}},
    detector_checkpoint='work_dirs/yolov5n_synthetic/epoch_10.pth',
    bottleneck=dict(type='mmleuk.ConceptBottleneck', attributes='leukemia', num_classes=_base_.num_classes),
    min_score=0.05,
    on_ground_truth=True)

val_evaluator = _base_.val_evaluator + [
    dict(type='mmleuk.AttributeF1Metric'),
    dict(type='mmleuk.AttributeF1Metric', mode='gt_boxes'),
    dict(type='mmleuk.DisagreementMetric'),
]
test_evaluator = val_evaluator
