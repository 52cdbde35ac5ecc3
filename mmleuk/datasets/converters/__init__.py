"""Annotations from format to format: COCO, VOC and YOLO, by way of COCO JSON."""
