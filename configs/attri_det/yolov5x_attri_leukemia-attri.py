"""AttriDet: YOLOv5x on LeukemiaAttri, HCM_100x_C2 (LLD 5.1, Table 5: mAP@50-95 28.2; YOLOv5x alone 26.3).

MMLEUK_DATA=... python tools/train.py configs/attri_det/yolov5x_attri_leukemia-attri.py
"""

_base_ = [
    '../_base_/models/yolov5x.py',
    '../_base_/datasets/leukemia_attri_640.py',
    '../_base_/schedules/leukemia_attri.py',
    '../_base_/default_runtime.py',
]

model = dict(
    _delete_=True,
    type='mmleuk.AttriDet',
    detector=dict(
        _base_.model,
        bbox_head=dict(_base_.model.bbox_head, num_classes=_base_.num_classes, image_size=_base_.image_size)),
    attri_head=dict(type='mmleuk.AttriHead', attributes='leukemia'),
    feature_layers=('backbone.stage1', 'backbone.stage2'),
    min_score=0.0,  # the papers' score takes attributes of any prediction
    on_ground_truth=True)

val_evaluator = _base_.val_evaluator + [
    dict(type='mmleuk.AttributeF1Metric'),
    dict(type='mmleuk.AttributeF1Metric', mode='gt_boxes'),
    dict(type='mmleuk.AttributeF1Metric', mode='paper'),
]
test_evaluator = val_evaluator
