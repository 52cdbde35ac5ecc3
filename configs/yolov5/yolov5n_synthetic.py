"""YOLOv5n on rendered films at 320 px, completely annotated, detection alone."""

_base_ = [
    '../_base_/models/yolov5n.py',
    '../_base_/datasets/synthetic_320.py',
    '../_base_/schedules/short_10e.py',
    '../_base_/default_runtime.py',
]

# Fourteen classes have to be told apart within some hundred iterations: their gain is six times YOLOv5's.
# Faint guesses are dropped early in testing: a little trained model has thousands of them.
model = dict(
    bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size, gain_class=3.0),
    test_cfg=dict(score_thr=0.01, nms_pre=2000))
