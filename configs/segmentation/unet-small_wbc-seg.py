"""Nucleus and cytoplasm of single cells: a small U-Net on wbc_seg at 160 px, 100 epochs on a CPU.

MMLEUK_DATA=... python tools/train.py configs/segmentation/unet-small_wbc-seg.py
"""

_base_ = ['../_base_/datasets/wbc_seg_160.py', '../_base_/models/unet_small.py', '../_base_/schedules/masks_cpu.py',
          '../_base_/default_runtime.py']

model = dict(data_preprocessor=dict(size=(160, 160)), decode_head=dict(num_classes=3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=1, end=100, T_max=99, eta_min=0.00001, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=100, val_interval=10)
default_hooks = dict(
    checkpoint=dict(save_best='parts/mIoU'), visualization=dict(type='mmleuk.PartPicturesHook'))
