"""Ablation with attributes: labelled-region loss alone (LLD Table 9, first row). YOLOv5n, rendered films."""

_base_ = './yolov5n_sla_synthetic.py'

model = dict(detector=dict(pseudo_weight=0.0, loss_triplet=None, selector=None))
