"""Plain baseline (a) of LLD 5.2 on TXL-PBC: trained on the cropped patches, tested on overlapping tiles.

Cells keep the size that they have in the other rows: the image is scaled to 320 px first, so a patch of a fifth of it
has sides of 143 px at most, padded to a tile's 160 px rather than blown up. What a tile shows is then what a patch
showed, at the resolution that the other methods get; ``yolov5n_txl-pbc_cropped-enlarged.py`` blows it up to 320 px.
Tiles overlap by 104 px, so that a red cell lies whole in one of them; most leukocytes (median 129 px) do not, nor did
they in the patches. The gain of the objectness stays that of 320 px, since cells are as dense as there.
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
