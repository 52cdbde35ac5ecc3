"""WBCAtt+'s cell-structure-aware model (3.3, B.3): ConvNeXt-T on six masked images each, attention, true masks.

Its macro F1 there: 92.98 (Table 8). model.aggregation is concatenate, max, mean, weighted or attention; Table 10's rows
are model.groups.

MMLEUK_DATA=... python tools/train.py configs/attributes/structure-aware_convnext-tiny_wbcatt-plus.py
"""

_base_ = ['../_base_/models/narrow-resnet_crops.py', '../_base_/datasets/wbcatt_plus_crops_224.py',
          '../_base_/schedules/wbcatt_2000it.py', '../_base_/default_runtime.py']

model = dict(
    type='mmleuk.StructureAwareRecognizer',
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),  # ImageNet's, for its weights
    crop_size=224,
    encoder=dict(type='mmleuk.TransformersEncoder', name='convnext-tiny'),
    groups=('other', 'cytoplasm', 'nucleus', 'platelet', 'RBC', 'vacuole'),
    aggregation='attention',
    reading='masked_images')
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=100, save_best='attributes/macro_f1', rule='greater'))
log_processor = dict(by_epoch=False)
