"""WBCAtt's single-cell images at 64 px from their middle: 136 of 176 px, in training at random within 144."""

_base_ = './wbcatt_crops.py'

train_dataloader = dict(dataset=dict(pipeline=[
    dict(type='mmleuk.LoadImage'),
    dict(type='mmleuk.LoadCellAnnotations'),
    dict(type='mmleuk.CenterCrop', crop_size=(144, 144)),
    dict(type='RandomCrop', crop_size=(136, 136)),
    dict(type='Resize', scale=(64, 64)),
    dict(type='mmleuk.HSVJitter', hue=0.01, saturation=0.2, value=0.2),
    dict(type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
    dict(type='mmleuk.PackCells')]))
val_dataloader = dict(dataset=dict(pipeline=[
    dict(type='mmleuk.LoadImage'),
    dict(type='mmleuk.CenterCrop', crop_size=(136, 136)),
    dict(type='Resize', scale=(64, 64)),
    dict(type='mmleuk.LoadCellAnnotations'),
    dict(type='mmleuk.PackCells')]))
test_dataloader = val_dataloader
