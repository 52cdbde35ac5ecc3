"""UPerNet with ConvNeXt-T on WBCAtt+'s masks, on the paper's schedule (B.2). Its mIoU there: 92.44 (Table 4).

MMLEUK_DATA=... python tools/train.py configs/segmentation/upernet_convnext-t_wbcatt-plus.py
"""

_base_ = ['../_base_/datasets/wbcatt_plus_352.py', '../_base_/models/upernet_convnext-t.py',
          '../_base_/schedules/wbcatt_plus_masks.py', '../_base_/default_runtime.py']

default_hooks = dict(
    checkpoint=dict(save_best='parts/mIoU'), visualization=dict(type='mmleuk.PartPicturesHook'))
