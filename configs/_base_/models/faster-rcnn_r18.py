"""Faster R-CNN with a small ResNet-18, for cells at 320 px and a CPU.

Half of ResNet-18's width and pyramid maps of 64 channels. Cells are 13 to 190 px wide at 320 px: the pyramid starts at
stride 8, anchors are 20 to 224 px, and a box is pooled from the level where it covers 3.5 to 7 locations per side, so
that one sample per bin is enough. Images have up to 35 cells; 100 proposals are enough. Random weights: nothing is
frozen, and normalisation layers learn their statistics.
"""

_base_ = 'mmdet::_base_/models/faster-rcnn_r50_fpn.py'

model = dict(
    data_preprocessor=dict(pad_value=114),
    backbone=dict(depth=18, base_channels=32, frozen_stages=-1, norm_eval=False, init_cfg=None),
    neck=dict(in_channels=[32, 64, 128, 256], out_channels=64, start_level=1, num_outs=4),
    rpn_head=dict(
        in_channels=64,
        feat_channels=64,
        anchor_generator=dict(scales=[2.5, 3.5], strides=[8, 16, 32, 64])),
    roi_head=dict(
        bbox_roi_extractor=dict(
            roi_layer=dict(sampling_ratio=1), out_channels=64, featmap_strides=[8, 16, 32], finest_scale=28),
        bbox_head=dict(in_channels=64, fc_out_channels=256)),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=200, max_per_img=100),
        rcnn=dict(sampler=dict(num=64))),
    test_cfg=dict(
        rpn=dict(nms_pre=200, max_per_img=100),
        rcnn=dict(score_thr=0.01)))
