"""All six parts of rendered cells: a small U-Net at 128 px on a CPU, with exact masks.

MMLEUK_DATA=... python tools/train.py configs/segmentation/unet-small_synthetic-cells.py
"""

_base_ = ['../_base_/datasets/synthetic_masks_128.py', '../_base_/models/unet_small.py',
          '../_base_/schedules/masks_cpu.py', '../_base_/default_runtime.py']

model = dict(data_preprocessor=dict(size=(128, 128)))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=1, end=4, T_max=3, eta_min=0.00001, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=4, val_interval=2)
default_hooks = dict(
    checkpoint=dict(save_best='parts/mIoU'), visualization=dict(type='mmleuk.PartPicturesHook'))
