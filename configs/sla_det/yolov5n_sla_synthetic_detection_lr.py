"""Ablation: labelled-region loss alone (LLD Table 8, first row). YOLOv5n, rendered films."""

_base_ = './yolov5n_sla_synthetic_detection.py'

model = dict(pseudo_weight=0.0, loss_triplet=None, selector=None)
