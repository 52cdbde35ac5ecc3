"""Attributes and type of rendered cells: a narrow ResNet-18 on crops of 48 px, 3 epochs, for the demo.

MMLEUK_DATA=work_dirs/demo python tools/train.py configs/attributes/narrow-resnet_synthetic-crops.py
"""

_base_ = ['../_base_/datasets/synthetic_crops.py', '../_base_/default_runtime.py']

model = dict(
    type='mmleuk.AttributeRecognizer',
    data_preprocessor=dict(
        type='DetDataPreprocessor', mean=[114.0, 114.0, 114.0], std=[64.0, 64.0, 64.0], bgr_to_rgb=True),
    attributes='synthetic_crops',
    crop_size=48)

optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=0.003, weight_decay=0.05))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=50, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=0, end=3, T_max=3, eta_min=0.00001, convert_to_iter_based=True),
]
custom_hooks = []
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=3, val_interval=3)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
