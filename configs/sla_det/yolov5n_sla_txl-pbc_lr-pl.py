"""Ablation: labelled regions and pseudo-labels (LLD Table 8, second row). YOLOv5n, TXL-PBC."""

_base_ = './yolov5n_sla_txl-pbc.py'

model = dict(loss_triplet=None)
