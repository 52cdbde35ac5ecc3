"""Ablation: the similarity loss as Eq. 10 is printed, which contradicts the text. YOLOv5n, TXL-PBC."""

_base_ = [
    '../_base_/models/sla-det_yolov5n.py',
    '../_base_/datasets/txl_pbc_320_sparse.py',
    '../_base_/schedules/short.py',
    '../_base_/default_runtime.py',
]

model = dict(
    detector=dict(bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size)),
    loss_triplet=dict(reading='printed'))
default_hooks = dict(pseudo_labels=dict(
    type='mmleuk.PseudoLabelHook', pseudo_epochs=(11, None), triplet_epochs=(11, 18)))
