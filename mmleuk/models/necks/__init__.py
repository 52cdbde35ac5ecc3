"""Necks."""

from mmleuk.models.necks.yolov5_pafpn import YOLOv5PAFPN

__all__ = ['YOLOv5PAFPN']
