"""Attributes and type of single-cell images: a narrow ResNet-18 on WBCAtt's crops, 64 px, 10 epochs on a CPU.

MMLEUK_DATA=... python tools/train.py configs/attributes/narrow-resnet_wbcatt-crops.py
"""

_base_ = ['../_base_/datasets/wbcatt_crops.py', '../_base_/default_runtime.py']

model = dict(
    type='mmleuk.AttributeRecognizer',
    data_preprocessor=dict(
        type='DetDataPreprocessor', mean=[114.0, 114.0, 114.0], std=[64.0, 64.0, 64.0], bgr_to_rgb=True),
    attributes='wbcatt_crops',
    crop_size=64)

optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=0.003, weight_decay=0.05))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=1, end=10, T_max=9, eta_min=0.00001, convert_to_iter_based=True),
]
custom_hooks = []
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=10, val_interval=5)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
