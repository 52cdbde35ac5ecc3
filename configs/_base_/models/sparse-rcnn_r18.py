"""Sparse R-CNN with a small ResNet-18, for cells at 320 px and a CPU.

Half of ResNet-18's width, 128 channels, 3 stages, 60 proposals for up to 35 cells. Random weights: nothing is frozen,
and normalisation layers learn their statistics.
"""

_base_ = './sparse-rcnn_r50.py'

model = dict(
    data_preprocessor=dict(pad_value=114),
    backbone=dict(depth=18, base_channels=32),
    neck=dict(in_channels=[32, 64, 128, 256], out_channels=128, start_level=1),
    rpn_head=dict(num_proposals=60, proposal_feature_channel=128),
    roi_head=dict(
        num_stages=3,
        stage_loss_weights=[1, 1, 1],
        proposal_feature_channel=128,
        bbox_roi_extractor=dict(
            roi_layer=dict(sampling_ratio=1), out_channels=128, featmap_strides=[8, 16, 32], finest_scale=28),
        bbox_head=[
            dict(head, in_channels=128, feedforward_channels=512,
                 dynamic_conv_cfg=dict(head['dynamic_conv_cfg'], in_channels=128, feat_channels=32, out_channels=128))
            for head in _base_.model.roi_head.bbox_head[:3]
        ]),
    train_cfg=dict(rcnn=_base_.model.train_cfg.rcnn[:3]),
    test_cfg=dict(rcnn=dict(max_per_img=60)))
