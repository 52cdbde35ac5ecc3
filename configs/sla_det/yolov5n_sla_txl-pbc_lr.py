"""Ablation: only the labelled-region loss (LLD Table 8, first row).

A plain YOLOv5n whose loss counts where truth is known; TXL-PBC at 320 px.
"""

_base_ = [
    '../_base_/models/yolov5n.py',
    '../_base_/datasets/txl_pbc_320_sparse.py',
    '../_base_/schedules/short.py',
    '../_base_/default_runtime.py',
]

model = dict(bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size, truth='regions'))
