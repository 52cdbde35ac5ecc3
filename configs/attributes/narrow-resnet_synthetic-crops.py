"""Attributes and type of rendered cells: a quarter of ResNet-18's width on crops of 96 px, 8 epochs, for the demo.

mmleuk data crops work_dirs/demo/crops
MMLEUK_DATA=work_dirs/demo python tools/train.py configs/attributes/narrow-resnet_synthetic-crops.py
"""

_base_ = [
    '../_base_/models/quarter-resnet_crops.py',
    '../_base_/datasets/synthetic_crops.py',
    '../_base_/default_runtime.py',
]

optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=0.003, weight_decay=0.05))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=50, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=0, end=8, T_max=8, eta_min=0.00001, convert_to_iter_based=True),
]
custom_hooks = []
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=8, val_interval=8)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
