"""Ablation of SLA-Det+: labelled-region loss, ten epochs on images made of annotated regions, then ten on whole ones.

YOLOv5n, TXL-PBC.
"""

_base_ = './yolov5n_sla_txl-pbc_lr-mosaic-throughout.py'

default_hooks = dict(
    skip_transforms=dict(type='mmleuk.SkipTransformsHook', transforms=['mmleuk.RegionMosaic'], first_epoch=11))
