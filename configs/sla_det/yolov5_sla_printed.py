"""Ablation: the similarity loss as Eq. 10 is printed, which contradicts the text. YOLOv5x, Sparse-LeukemiaAttri."""

_base_ = [
    '../_base_/models/sla-det_yolov5x.py',
    '../_base_/datasets/sparse_leukemia_attri_640.py',
    '../_base_/schedules/leukemia_attri.py',
    '../_base_/default_runtime.py',
]

model = dict(
    detector=dict(bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size)),
    loss_triplet=dict(reading='printed'))
train_cfg = dict(max_epochs=50)
default_hooks = dict(pseudo_labels=dict(
    type='mmleuk.PseudoLabelHook', pseudo_epochs=(1, None), triplet_epochs=(1, 40)))
