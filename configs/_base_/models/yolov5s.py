"""YOLOv5s, release 6."""

_base_ = './yolov5l.py'

model = dict(
    backbone=dict(deepen_factor=0.33, widen_factor=0.5),
    neck=dict(in_channels=[128, 256, 512], deepen_factor=0.33),
    bbox_head=dict(in_channels=[128, 256, 512]))
