"""Nucleus and cytoplasm of single cells: a small U-Net on wbc_seg at 96 px, 24 epochs on a CPU.

MMLEUK_DATA=... python tools/train.py configs/segmentation/unet-small_wbc-seg.py
"""

_base_ = ['../_base_/datasets/wbc_seg_96.py', '../_base_/models/unet_small.py', '../_base_/schedules/masks_cpu.py',
          '../_base_/default_runtime.py']

model = dict(decode_head=dict(num_classes=3))
default_hooks = dict(
    checkpoint=dict(save_best='parts/mIoU'), visualization=dict(type='mmleuk.PartPicturesHook'))
