"""Ablation of SLA-Det+: ten epochs on images made of annotated regions alone, then ten on whole ones.

YOLOv5n, TXL-PBC.
"""

_base_ = './yolov5n_sla_txl-pbc_lr.py'

train_dataloader = dict(dataset=dict(pipeline=[
    dict(type='mmleuk.RegionMosaic', img_scale=(320, 320), prob=1.0),
    *_base_.train_dataloader.dataset.pipeline]))
default_hooks = dict(
    skip_transforms=dict(type='mmleuk.SkipTransformsHook', transforms=['mmleuk.RegionMosaic'], first_epoch=11))
