"""WBCAtt+'s baseline (4.2, B.1) with VGG16 on WBCAtt's single-cell images, 224 px.

Random weights: load_from reads others. Three seeds: --cfg-options randomness.seed=1.

MMLEUK_DATA=... python tools/train.py configs/attributes/vgg16_wbcatt-crops.py
"""

_base_ = [
    '../_base_/models/narrow-resnet_crops.py',
    '../_base_/datasets/wbcatt_crops_224.py',
    '../_base_/schedules/wbcatt_2000it.py',
    '../_base_/default_runtime.py',
]

model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),  # ImageNet's, for its weights
    crop_size=224,
    encoder=dict(type='mmleuk.VGG', depth=16, out_indices=(4,)))
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=100, save_best='attributes/macro_f1', rule='greater'))
log_processor = dict(by_epoch=False)
