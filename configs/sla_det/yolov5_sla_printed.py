"""Ablation: the similarity loss as Eq. 10 is printed, against its text. YOLOv5x, Sparse-LeukemiaAttri."""

_base_ = './yolov5_sla.py'

model = dict(loss_triplet=dict(reading='printed'))
