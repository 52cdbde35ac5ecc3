"""SegFormer-B0 on WBCAtt+'s masks, on the paper's schedule (B.2). Its mIoU there: 91.48 (Table 4).

MMLEUK_DATA=... python tools/train.py configs/segmentation/segformer_b0_wbcatt-plus.py
"""

_base_ = ['../_base_/datasets/wbcatt_plus_352.py', '../_base_/models/segformer_b0.py',
          '../_base_/schedules/wbcatt_plus_masks.py', '../_base_/default_runtime.py']

default_hooks = dict(
    checkpoint=dict(save_best='parts/mIoU'), visualization=dict(type='mmleuk.PartPicturesHook'))
