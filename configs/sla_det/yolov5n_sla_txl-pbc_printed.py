"""Ablation: the similarity loss as Eq. 10 is printed, against its text. YOLOv5n, TXL-PBC."""

_base_ = './yolov5n_sla_txl-pbc.py'

model = dict(loss_triplet=dict(reading='printed'))
