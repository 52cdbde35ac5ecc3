"""Dense heads."""

from mmleuk.models.dense_heads.yolov5_head import YOLOv5Head

__all__ = ['YOLOv5Head']
