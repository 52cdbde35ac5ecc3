"""CBM beside a trained YOLOv5n: TXL-PBC's PBC images, WBCAtt's 11 attributes, 320 px, 40 epochs on a CPU.

MMLEUK_DATA=... python tools/train.py configs/yolov5/yolov5n_wbcatt.py    # the detector
MMLEUK_DATA=... python tools/train.py configs/cbm/yolov5n_cbm_wbcatt.py
"""

_base_ = '../yolov5/yolov5n_wbcatt.py'

model = dict(
    _delete_=True,
    type='mmleuk.PostHocCBM',
    detector={{_base_.model}},
    detector_checkpoint='work_dirs/yolov5n_wbcatt/epoch_40.pth',
    bottleneck=dict(type='mmleuk.ConceptBottleneck', attributes='wbcatt', num_classes=_base_.num_classes),
    min_score=0.05,
    on_ground_truth=True)

val_evaluator = [
    _base_.val_evaluator[0],
    dict(type='mmleuk.AttributeF1Metric', binary='macro'),
    dict(type='mmleuk.AttributeF1Metric', binary='macro', mode='gt_boxes'),
    dict(type='mmleuk.DisagreementMetric'),
]
test_evaluator = val_evaluator
