"""Plain baseline (a) of LLD 5.2 on TXL-PBC: trained on the cropped patches, tested on overlapping tiles.

Cells keep the size that they have in the other rows: the image is scaled to 320 px first, so a patch of a fifth of it
has sides of 143 px at most, and is padded to a tile's 160 px, not enlarged. So a tile shows as much as a patch, at
the resolution of the other methods; ``yolov5n_txl-pbc_cropped-enlarged.py`` enlarges it to 320 px. Tiles overlap by
104 px, so every red cell is complete in one of them. Most leukocytes (median 129 px) are not, as in the patches. The
gain of the objectness is that of 320 px, since cells are as dense as there.
"""

_base_ = [
    '../_base_/models/yolov5n.py',
    '../_base_/datasets/txl_pbc_320_sparse.py',
    '../_base_/schedules/short.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='mmleuk.TiledDetector',
    tile_size=160,
    overlap=104,
    bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size))
train_dataloader = dict(dataset=dict(
    dataset=dict(pipeline=[
        dict(type='mmleuk.LoadImage'),
        dict(type='mmleuk.LoadCellAnnotations'),
        dict(type='Resize', scale=(320, 320), keep_ratio=True),
        dict(type='mmleuk.CropToRegion'),
    ]),
    pipeline=[
        dict(type='Pad', size=(160, 160), pad_val=dict(img=(114, 114, 114))),
        dict(type='mmleuk.RandomAffine'),
        dict(type='mmleuk.HSVJitter'),
        dict(type='RandomFlip', prob=0.5),
        dict(type='mmleuk.PackCells'),
    ]))
