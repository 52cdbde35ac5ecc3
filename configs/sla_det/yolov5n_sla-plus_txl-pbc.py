"""SLA-Det+: labelled-region loss on images made of annotated regions, half of them whole images from epoch 11 on.

YOLOv5n, TXL-PBC.

MMLEUK_DATA=... python tools/train.py configs/sla_det/yolov5n_sla-plus_txl-pbc.py
"""

_base_ = './yolov5n_sla_txl-pbc_lr-mosaic.py'

default_hooks = dict(skip_transforms=dict(keep=0.5))
