"""Ablation with attributes: labelled regions and pseudo-labels (LLD Table 9, second row). YOLOv5n, rendered films."""

_base_ = './yolov5n_sla_synthetic.py'

model = dict(detector=dict(loss_triplet=None))
