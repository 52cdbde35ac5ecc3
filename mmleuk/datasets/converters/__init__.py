"""Converters from other annotation formats to COCO JSON."""

from mmleuk.datasets.converters.cli import add_arguments, run
from mmleuk.datasets.converters.yolo import convert_yolo

__all__ = ['add_arguments', 'convert_yolo', 'run']
