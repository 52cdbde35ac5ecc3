"""FCOS with a small ResNet-18, for cells of 13 to 190 px at 320 px and a CPU.

Half of ResNet-18's width, maps of 64 channels at strides 8 to 64, two convolutions per branch, only locations near a
cell's centre. Random weights: nothing is frozen.
"""

_base_ = './fcos_r50.py'

model = dict(
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True, pad_value=114),
    backbone=dict(depth=18, base_channels=32, style='pytorch'),
    neck=dict(in_channels=[32, 64, 128, 256], out_channels=64, num_outs=4),
    bbox_head=dict(
        in_channels=64,
        feat_channels=64,
        stacked_convs=2,
        strides=[8, 16, 32, 64],
        regress_ranges=((-1, 40), (40, 80), (80, 160), (160, 1e8)),
        center_sampling=True,
        loss_cls=dict(type='mmleuk.KnownFocalLoss')),
    test_cfg=dict(nms_pre=300, score_thr=0.01))
