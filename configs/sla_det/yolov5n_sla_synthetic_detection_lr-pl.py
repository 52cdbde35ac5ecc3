"""Ablation: labelled regions and pseudo-labels (LLD Table 8, second row). YOLOv5n, rendered films."""

_base_ = './yolov5n_sla_synthetic_detection.py'

model = dict(loss_triplet=None)
