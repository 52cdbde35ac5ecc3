"""Attributes of rendered cells from their parts (WBCAtt+ 3.3): a masked image each, attention over the parts.

MMLEUK_DATA=... python tools/train.py configs/attributes/structure-aware_synthetic-cells.py
"""

_base_ = ['../_base_/datasets/synthetic_cells_64.py', '../_base_/schedules/crops_cpu_8e.py',
          '../_base_/default_runtime.py']

model = dict(
    type='mmleuk.StructureAwareRecognizer',
    data_preprocessor=dict(
        type='DetDataPreprocessor', mean=[114.0, 114.0, 114.0], std=[64.0, 64.0, 64.0], bgr_to_rgb=True),
    attributes='synthetic',
    crop_size=64,
    encoder=dict(
        type='mmdet.ResNet', depth=18, base_channels=32, in_channels=3, num_stages=4, out_indices=(3,),
        frozen_stages=-1, norm_eval=False, norm_cfg=dict(type='GN', num_groups=8)),
    aggregation='attention',
    reading='masked_images')
