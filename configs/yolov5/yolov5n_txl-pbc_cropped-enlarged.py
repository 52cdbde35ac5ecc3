"""Plain baseline (a) of LLD 5.2 on TXL-PBC with patches enlarged to the 320 px of the other rows.

Cells are 2.2 times as large as in the other rows, in training and in testing: images are tested at 704 px in 16 tiles
of 320 px, which costs 16 times a whole image. In ``yolov5n_txl-pbc_cropped.py`` cells are as large as elsewhere.
The benchmark shows which of the two is the stronger baseline.
"""

_base_ = [
    '../_base_/models/yolov5n.py',
    '../_base_/datasets/txl_pbc_320_sparse.py',
    '../_base_/schedules/short.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='mmleuk.TiledDetector',
    tile_size=320,
    overlap=192,
    bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size))
train_dataloader = dict(dataset=dict(dataset=dict(pipeline=[
    dict(type='mmleuk.LoadImage'),
    dict(type='mmleuk.LoadCellAnnotations'),
    dict(type='mmleuk.CropToRegion'),
])))
val_dataloader = dict(dataset=dict(pipeline=[
    dict(type='mmleuk.LoadImage'),
    dict(type='Resize', scale=(704, 704), keep_ratio=True),
    dict(type='mmleuk.Pad', size=(704, 704), pad_val=dict(img=(114, 114, 114))),
    dict(type='mmleuk.LoadCellAnnotations'),
    dict(type='mmleuk.PackCells'),
]))
test_dataloader = val_dataloader
