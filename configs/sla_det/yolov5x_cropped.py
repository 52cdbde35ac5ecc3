"""Plain baseline (a) of LLD 5.2: trained on the cropped patches, tested on overlapping tiles (mAP@50 37.7).

A patch of a fifth of a 640 px image has sides of about 286 px; the training canvas and the
tiles have 288 px.
"""

_base_ = './yolov5x_sparse-as-complete.py'

model = dict(type='mmleuk.TiledDetector', tile_size=288, overlap=96, bbox_head=dict(image_size=320))
train_dataloader = dict(dataset=dict(
    dataset=dict(
        annotation='sparse',
        pipeline=[
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
