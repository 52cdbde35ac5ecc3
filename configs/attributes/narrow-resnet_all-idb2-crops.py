"""Type of ALL-IDB2's single-cell images: a narrow ResNet-18, 64 px, 10 epochs on a CPU.

MMLEUK_DATA=... python tools/train.py configs/attributes/narrow-resnet_all-idb2-crops.py
"""

_base_ = [
    '../_base_/models/narrow-resnet_crops.py',
    '../_base_/datasets/all_idb2_crops.py',
    '../_base_/schedules/crops_10e.py',
    '../_base_/default_runtime.py',
]

model = dict(attributes='all_idb2')
