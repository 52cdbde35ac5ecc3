"""Type of PBC's single-cell images: a narrow ResNet-18, 64 px, 10 epochs on a CPU.

MMLEUK_DATA=... python tools/train.py configs/attributes/narrow-resnet_pbc-crops.py
"""

_base_ = [
    '../_base_/models/narrow-resnet_crops.py',
    '../_base_/datasets/pbc_crops.py',
    '../_base_/schedules/crops_10e.py',
    '../_base_/default_runtime.py',
]

model = dict(attributes='pbc_crops')
