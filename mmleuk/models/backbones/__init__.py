"""Backbones."""

from mmleuk.models.backbones.transformers_encoder import TransformersEncoder
from mmleuk.models.backbones.vgg import VGG
from mmleuk.models.backbones.yolov5 import YOLOv5Backbone

__all__ = ['VGG', 'TransformersEncoder', 'YOLOv5Backbone']
