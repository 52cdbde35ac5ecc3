"""Ablation: the similarity loss as Eq. 10 is printed, against its text. YOLOv5n, rendered films."""

_base_ = './yolov5n_sla_synthetic_detection.py'

model = dict(loss_triplet=dict(reading='printed'))
