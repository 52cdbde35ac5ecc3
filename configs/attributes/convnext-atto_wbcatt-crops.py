"""Type and attributes of WBCAtt's single-cell images: a small ConvNeXt, 64 px, 10 epochs on a CPU.

MMLEUK_DATA=... python tools/train.py configs/attributes/convnext-atto_wbcatt-crops.py
"""

_base_ = [
    '../_base_/models/narrow-resnet_crops.py',
    '../_base_/datasets/wbcatt_crops.py',
    '../_base_/schedules/crops_10e.py',
    '../_base_/default_runtime.py',
]

model = dict(crop_size=64, encoder=dict(type='mmleuk.TransformersEncoder', name='convnext-atto'))
optim_wrapper = dict(optimizer=dict(lr=0.001))
