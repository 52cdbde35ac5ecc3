"""Ablation: labelled regions and pseudo-labels (LLD Table 8, second row). YOLOv5x, Sparse-LeukemiaAttri."""

_base_ = './yolov5_sla.py'

model = dict(loss_triplet=None)
