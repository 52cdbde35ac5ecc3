"""Control experiment for SLA-Det+ on TXL-PBC: mosaics of cropped patches, a loss without regions, whole test images.

Which part of SLA-Det+'s gain comes from the mosaic, and which from the loss? Here a training image has as many labelled
cells of the same size, but shows nothing around a patch.

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
