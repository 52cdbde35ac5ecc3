"""YOLOv5m, release 6."""

_base_ = './yolov5l.py'

model = dict(
    backbone=dict(deepen_factor=0.67, widen_factor=0.75),
    neck=dict(in_channels=[192, 384, 768], deepen_factor=0.67),
    bbox_head=dict(in_channels=[192, 384, 768]))
