"""Type and attributes of WBCAtt's single-cell images from their middle: narrow ResNet-18, 64 px, 12 epochs on a CPU.

The middle 136 of 176 px hold the cell; scaled to 64 px it is 1.3 times as large as in narrow-resnet_wbcatt-crops.py.

MMLEUK_DATA=... python tools/train.py configs/attributes/narrow-resnet_wbcatt-crops_center.py
"""

_base_ = ['./narrow-resnet_wbcatt-crops.py']

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

param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=1, end=12, T_max=11, eta_min=0.00001, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=12, val_interval=3)
default_hooks = dict(checkpoint=dict(save_best='attributes/macro_f1', rule='greater'))
