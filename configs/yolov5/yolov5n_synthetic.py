"""YOLOv5n on rendered films at 320 px, completely annotated, detection only."""

_base_ = [
    '../_base_/models/yolov5n.py',
    '../_base_/datasets/synthetic_320.py',
    '../_base_/schedules/short_10e.py',
    '../_base_/default_runtime.py',
]

# Fourteen classes must be learnt in a few hundred iterations: the gain of the class loss is six times YOLOv5's.
# In testing, detections with low scores are dropped early: after a short training there are thousands of them.
model = dict(
    bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size, gain_class=3.0),
    test_cfg=dict(score_thr=0.01, nms_pre=2000))
