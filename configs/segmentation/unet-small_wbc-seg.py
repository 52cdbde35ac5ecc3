"""Nucleus and cytoplasm of single cells: a small U-Net on wbc_seg at 160 px, 30 epochs on a CPU.

MMLEUK_DATA=... python tools/train.py configs/segmentation/unet-small_wbc-seg.py
"""

_base_ = ['../_base_/datasets/wbc_seg_160.py', '../_base_/models/unet_small.py', '../_base_/schedules/masks_cpu.py',
          '../_base_/default_runtime.py']

model = dict(data_preprocessor=dict(size=(160, 160)), decode_head=dict(num_classes=3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=1, end=30, T_max=29, eta_min=0.00001, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=30, val_interval=5)
default_hooks = dict(
    checkpoint=dict(save_best='parts/mIoU'), visualization=dict(type='mmleuk.PartPicturesHook'))
