"""Type and attributes of WBCAtt's single-cell images from predicted parts, in one forward pass per image.

MMLEUK_DATA=... python tools/train.py configs/attributes/structure-pooled_wbcatt-crops.py
"""

_base_ = ['../_base_/models/narrow-resnet_crops.py', '../_base_/datasets/wbcatt_parts_center.py',
          '../_base_/schedules/crops_12e.py', '../_base_/default_runtime.py']

model = dict(
    type='mmleuk.StructureAwareRecognizer',
    encoder=dict(
        type='mmdet.ResNet', depth=18, base_channels=32, num_stages=4, out_indices=(0, 1, 2, 3), frozen_stages=-1,
        norm_eval=False, norm_cfg=dict(type='GN', num_groups=8)),
    groups=('nucleus', ('cytoplasm', 'vacuole'), ('other', 'platelet', 'RBC')),
    aggregation='concatenate',
    reading='pooled_features')
default_hooks = dict(checkpoint=dict(save_best='attributes/macro_f1', rule='greater'))
