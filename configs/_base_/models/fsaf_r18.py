"""FSAF with a small ResNet-18, for cells at 320 px and a CPU; sizes as in fcos_r18.py."""

_base_ = './fsaf_r50.py'

model = dict(
    data_preprocessor=dict(pad_value=114),
    backbone=dict(depth=18, base_channels=32),
    neck=dict(in_channels=[32, 64, 128, 256], out_channels=64, num_outs=4),
    bbox_head=dict(
        in_channels=64, feat_channels=64, stacked_convs=2, anchor_generator=dict(strides=[8, 16, 32, 64])),
    test_cfg=dict(nms_pre=300, score_thr=0.01))
