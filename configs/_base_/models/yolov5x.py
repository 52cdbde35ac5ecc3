"""YOLOv5x, release 6."""

_base_ = './yolov5l.py'

model = dict(
    backbone=dict(deepen_factor=1.33, widen_factor=1.25),
    neck=dict(in_channels=[320, 640, 1280], deepen_factor=1.33),
    bbox_head=dict(in_channels=[320, 640, 1280]))
