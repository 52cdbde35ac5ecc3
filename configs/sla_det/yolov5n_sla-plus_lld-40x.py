"""SLA-Det+ on LeukemiaAttri at 40x by patient, all types: the recipe of PBC and TXL-PBC for 40 epochs.

MMLEUK_DATA=... python tools/train.py configs/sla_det/yolov5n_sla-plus_lld-40x.py
"""

_base_ = [
    '../_base_/models/yolov5n.py',
    '../_base_/datasets/lld_40x_320_sparse.py',
    '../_base_/schedules/short_40e.py',
    '../_base_/default_runtime.py',
]

model = dict(bbox_head=dict(
    num_classes=_base_.num_classes, image_size=_base_.image_size, truth='regions', class_balance=0.5))
train_dataloader = dict(dataset=dict(pipeline=[
    dict(type='mmleuk.RegionMosaic', img_scale=(320, 320), prob=1.0, whole_cells=True, oversample_thr=1.0),
    *_base_.train_dataloader.dataset.pipeline]))
default_hooks = dict(skip_transforms=dict(
    type='mmleuk.SkipTransformsHook', transforms=['mmleuk.RegionMosaic'], first_epoch=21, keep=0.5))
