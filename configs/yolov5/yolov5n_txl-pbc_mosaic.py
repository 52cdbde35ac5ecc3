"""YOLOv5n on TXL-PBC, completely annotated, images composed of windows drawn evenly: the augmentation's effect.

MMLEUK_DATA=... python tools/train.py configs/yolov5/yolov5n_txl-pbc_mosaic.py
"""

_base_ = [
    '../_base_/models/yolov5n.py',
    '../_base_/datasets/txl_pbc_320.py',
    '../_base_/schedules/short.py',
    '../_base_/default_runtime.py',
]

model = dict(bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size))
train_dataloader = dict(dataset=dict(pipeline=[
    dict(type='mmleuk.RegionMosaic', img_scale=(320, 320), prob=1.0),
    *_base_.train_dataloader.dataset.pipeline]))
default_hooks = dict(skip_transforms=dict(
    type='mmleuk.SkipTransformsHook', transforms=['mmleuk.RegionMosaic'], first_epoch=11, keep=0.5))
