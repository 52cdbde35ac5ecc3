"""Ablation of SLA-Det+: ten epochs on images composed of annotated regions, then ten on whole images.

YOLOv5n, TXL-PBC.
"""

_base_ = [
    '../_base_/models/yolov5n.py',
    '../_base_/datasets/txl_pbc_320_sparse.py',
    '../_base_/schedules/short.py',
    '../_base_/default_runtime.py',
]

model = dict(bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size, truth='regions'))
train_dataloader = dict(dataset=dict(pipeline=[
    dict(type='mmleuk.RegionMosaic', img_scale=(320, 320), prob=1.0),
    *_base_.train_dataloader.dataset.pipeline]))
default_hooks = dict(skip_transforms=dict(
    type='mmleuk.SkipTransformsHook', transforms=['mmleuk.RegionMosaic'], first_epoch=11))
