"""Attributes and type of single-cell images: a narrow ResNet-18 on WBCAtt's crops, 64 px, 10 epochs on a CPU.

MMLEUK_DATA=... python tools/train.py configs/attributes/narrow-resnet_wbcatt-crops.py
"""

_base_ = [
    '../_base_/models/narrow-resnet_crops.py',
    '../_base_/datasets/wbcatt_crops.py',
    '../_base_/schedules/crops_10e.py',
    '../_base_/default_runtime.py',
]
