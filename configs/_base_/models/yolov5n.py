"""YOLOv5n, release 6."""

_base_ = './yolov5l.py'

model = dict(
    backbone=dict(deepen_factor=0.33, widen_factor=0.25),
    neck=dict(in_channels=[64, 128, 256], deepen_factor=0.33),
    bbox_head=dict(in_channels=[64, 128, 256]))
