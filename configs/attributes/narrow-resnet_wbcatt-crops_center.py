"""Type and attributes of WBCAtt's single-cell images from their middle: narrow ResNet-18, 64 px, 12 epochs on a CPU.

The middle 136 of 176 px hold the cell; scaled to 64 px it is 1.3 times as large as in narrow-resnet_wbcatt-crops.py.

MMLEUK_DATA=... python tools/train.py configs/attributes/narrow-resnet_wbcatt-crops_center.py
"""

_base_ = [
    '../_base_/models/narrow-resnet_crops.py',
    '../_base_/datasets/wbcatt_crops_center.py',
    '../_base_/schedules/crops_12e.py',
    '../_base_/default_runtime.py',
]

default_hooks = dict(checkpoint=dict(save_best='attributes/macro_f1', rule='greater'))
