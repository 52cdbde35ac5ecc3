"""Ablation with attributes: only the labelled-region loss (LLD Table 9, first row). YOLOv5n, rendered films."""

_base_ = [
    '../_base_/models/attri-det_yolov5n.py',
    '../_base_/datasets/synthetic_320_sparse.py',
    '../_base_/schedules/short_10e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    detector=dict(
        bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size, gain_class=3.0, truth='regions'),
        test_cfg=dict(score_thr=0.01, nms_pre=2000)),
    attri_head=dict(attributes='leukemia', roi_output_size=(16, 16)))

val_evaluator = _base_.val_evaluator + [
    dict(type='mmleuk.AttributeF1Metric'),
    dict(type='mmleuk.AttributeF1Metric', mode='gt_boxes'),
]
test_evaluator = val_evaluator
