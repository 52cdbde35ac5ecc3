"""Plain baseline (a) of LLD 5.2: trained on the cropped patches, tested on overlapping tiles (mAP@50 37.7).

A patch of a fifth of a 640 px image has sides of about 286 px; the training canvas and the
tiles have 288 px.
"""

_base_ = [
    '../_base_/models/yolov5x.py',
    '../_base_/datasets/sparse_leukemia_attri_640.py',
    '../_base_/schedules/leukemia_attri.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='mmleuk.TiledDetector',
    tile_size=288,
    overlap=96,
    bbox_head=dict(num_classes=_base_.num_classes, image_size=320))
train_dataloader = dict(dataset=dict(
    dataset=dict(pipeline=[
        dict(type='mmleuk.LoadImage'),
        dict(type='mmleuk.LoadCellAnnotations'),
        dict(type='mmleuk.CropToRegion'),
    ]),
    pipeline=[
        dict(type='mmleuk.Mosaic', img_scale=(288, 288), pad_val=114.0),
        dict(type='mmleuk.RandomAffine', border=(-144, -144)),
        dict(type='mmleuk.HSVJitter'),
        dict(type='RandomFlip', prob=0.5),
        dict(type='mmleuk.PackCells'),
    ]))
train_cfg = dict(max_epochs=50)
