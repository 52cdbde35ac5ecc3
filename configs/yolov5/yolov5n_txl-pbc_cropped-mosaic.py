"""Control of SLA-Det+ on TXL-PBC: mosaics of cropped patches, a loss that knows no regions, tested on whole images.

What of SLA-Det+'s gain is the mosaic's, what the loss's? Here as many labelled cells fill a training image, at the same
size, and nothing of a patch's surroundings is seen.

MMLEUK_DATA=... python tools/train.py configs/yolov5/yolov5n_txl-pbc_cropped-mosaic.py
"""

_base_ = [
    '../_base_/models/yolov5n.py',
    '../_base_/datasets/txl_pbc_320_sparse.py',
    '../_base_/schedules/short.py',
    '../_base_/default_runtime.py',
]

model = dict(bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size))
train_dataloader = dict(dataset=dict(
    dataset=dict(pipeline=[
        dict(type='mmleuk.LoadImage'),
        dict(type='mmleuk.LoadCellAnnotations'),
        dict(type='Resize', scale=(320, 320), keep_ratio=True),
        dict(type='mmleuk.CropToRegion'),
    ]),
    pipeline=[
        dict(type='mmleuk.Mosaic', img_scale=(160, 160), pad_val=114.0),  # the canvas has twice that
        dict(type='mmleuk.RandomAffine'),
        dict(type='mmleuk.HSVJitter'),
        dict(type='RandomFlip', prob=0.5),
        dict(type='mmleuk.PackCells'),
    ]))
