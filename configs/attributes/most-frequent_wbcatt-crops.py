"""Baseline on WBCAtt's single-cell images: always the most frequent value of each attribute. One epoch counts them.

MMLEUK_DATA=... python tools/train.py configs/attributes/most-frequent_wbcatt-crops.py
"""

_base_ = [
    '../_base_/models/narrow-resnet_crops.py',
    '../_base_/datasets/wbcatt_crops.py',
    '../_base_/schedules/crops_10e.py',
    '../_base_/default_runtime.py',
]

model = dict(_delete_=True, type='mmleuk.MostFrequentValues', attributes='wbcatt_crops',
             data_preprocessor=dict(type='DetDataPreprocessor'))
param_scheduler = []
train_cfg = dict(max_epochs=1, val_interval=1)
