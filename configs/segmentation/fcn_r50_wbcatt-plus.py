"""FCN with ResNet-50 on WBCAtt+'s masks, on the paper's schedule (B.2). Its mIoU there: 90.78 (Table 4).

MMLEUK_DATA=... python tools/train.py configs/segmentation/fcn_r50_wbcatt-plus.py
"""

_base_ = ['../_base_/datasets/wbcatt_plus_352.py', '../_base_/models/fcn-parts_r50.py',
          '../_base_/schedules/wbcatt_plus_masks.py', '../_base_/default_runtime.py']

default_hooks = dict(
    checkpoint=dict(save_best='parts/mIoU'), visualization=dict(type='mmleuk.PartPicturesHook'))
