"""SLA-Det+: labelled-region loss on images composed of annotated regions; from epoch 8 on half of the images are whole.

YOLOv5n, PBC's sparse labels, 320 px, 15 epochs.

MMLEUK_DATA=... python tools/train.py configs/sla_det/yolov5n_sla-plus_pbc.py
"""

_base_ = [
    '../_base_/models/yolov5n.py',
    '../_base_/datasets/pbc_320_sparse.py',
    '../_base_/schedules/short_15e.py',
    '../_base_/default_runtime.py',
]

model = dict(bbox_head=dict(
    num_classes=_base_.num_classes, image_size=_base_.image_size, truth='regions', class_balance=0.5))
train_dataloader = dict(dataset=dict(pipeline=[
    dict(type='mmleuk.RegionMosaic', img_scale=(320, 320), prob=1.0, whole_cells=True, oversample_thr=1.0),
    *_base_.train_dataloader.dataset.pipeline]))
default_hooks = dict(skip_transforms=dict(
    type='mmleuk.SkipTransformsHook', transforms=['mmleuk.RegionMosaic'], first_epoch=8, keep=0.5))
