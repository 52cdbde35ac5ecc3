"""WBCAtt's single-cell images at 224 px, batch 96: the middle, to 256 px, a random (in testing the middle) 224 px.

How much the first crop leaves isn't known (WBCAtt+ B.1); here five sixths of each side, 300 of PBC's 360 px.
"""

_base_ = './wbcatt_crops.py'

train_dataloader = dict(
    batch_size=96,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(pipeline=[
        dict(type='mmleuk.LoadImage'),
        dict(type='mmleuk.LoadCellAnnotations'),
        dict(type='mmleuk.CenterCrop', crop_type='relative', crop_size=(5 / 6, 5 / 6)),
        dict(type='Resize', scale=(256, 256)),
        dict(type='RandomCrop', crop_size=(224, 224)),
        dict(type='mmleuk.PackCells'),
    ]))
val_dataloader = dict(
    batch_size=96,
    dataset=dict(pipeline=[
        dict(type='mmleuk.LoadImage'),
        dict(type='mmleuk.CenterCrop', crop_type='relative', crop_size=(5 / 6, 5 / 6)),
        dict(type='Resize', scale=(256, 256)),
        dict(type='mmleuk.CenterCrop', crop_size=(224, 224)),
        dict(type='mmleuk.LoadCellAnnotations'),
        dict(type='mmleuk.PackCells'),
    ]))
test_dataloader = val_dataloader
