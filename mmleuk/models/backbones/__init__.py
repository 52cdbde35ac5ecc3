"""Backbones."""

from mmleuk.models.backbones.yolov5 import YOLOv5Backbone

__all__ = ['YOLOv5Backbone']
