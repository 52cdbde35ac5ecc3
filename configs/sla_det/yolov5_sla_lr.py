"""Ablation: labelled-region loss alone (LLD Table 8, first row). YOLOv5x, Sparse-LeukemiaAttri."""

_base_ = './yolov5_sla.py'

model = dict(pseudo_weight=0.0, loss_triplet=None, selector=None)
