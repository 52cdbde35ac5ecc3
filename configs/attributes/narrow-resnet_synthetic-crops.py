"""Attributes and type of rendered cells: a quarter of ResNet-18's width on crops of 96 px, 8 epochs, for the demo.

mmleuk data crops work_dirs/demo/crops
MMLEUK_DATA=work_dirs/demo python tools/train.py configs/attributes/narrow-resnet_synthetic-crops.py
"""

_base_ = ['../_base_/datasets/synthetic_crops.py', '../_base_/default_runtime.py']

model = dict(
    type='mmleuk.AttributeRecognizer',
    data_preprocessor=dict(
        type='DetDataPreprocessor', mean=[114.0, 114.0, 114.0], std=[64.0, 64.0, 64.0], bgr_to_rgb=True),
    attributes='synthetic_crops',
    crop_size=96,
    encoder=dict(
        type='mmdet.ResNet', depth=18, base_channels=16, num_stages=4, out_indices=(3,), frozen_stages=-1,
        norm_eval=False, norm_cfg=dict(type='GN', num_groups=8)))

optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=0.003, weight_decay=0.05))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=50, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=0, end=8, T_max=8, eta_min=0.00001, convert_to_iter_based=True),
]
custom_hooks = []
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=8, val_interval=8)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
