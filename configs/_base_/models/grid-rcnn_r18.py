"""Grid R-CNN with a small ResNet-18, for cells at 320 px and a CPU; sizes as in faster-rcnn_r18.py.

The grid head has 4 convolutions of 9 x 16 channels, the original's 8 of 9 x 64.
"""

_base_ = './grid-rcnn_r50.py'

model = dict(
    data_preprocessor=dict(pad_value=114),
    backbone=dict(depth=18, base_channels=32),
    neck=dict(in_channels=[32, 64, 128, 256], out_channels=64, start_level=1, num_outs=4),
    rpn_head=dict(
        in_channels=64,
        feat_channels=64,
        anchor_generator=dict(scales=[2.5, 3.5], strides=[8, 16, 32, 64])),
    roi_head=dict(
        bbox_roi_extractor=dict(
            roi_layer=dict(sampling_ratio=1), out_channels=64, featmap_strides=[8, 16, 32], finest_scale=28),
        bbox_head=dict(in_channels=64, fc_out_channels=256),
        grid_roi_extractor=dict(
            roi_layer=dict(sampling_ratio=1), out_channels=64, featmap_strides=[8, 16, 32], finest_scale=28),
        grid_head=dict(in_channels=64, num_convs=4, point_feat_channels=16, norm_cfg=dict(num_groups=9))),
    train_cfg=dict(
        rpn=dict(allowed_border=-1),  # cells are cut by the image's border
        rpn_proposal=dict(nms_pre=200, max_per_img=100),
        rcnn=dict(sampler=dict(num=64), max_num_grid=64)),
    test_cfg=dict(
        rpn=dict(nms_pre=200, max_per_img=100),
        rcnn=dict(score_thr=0.01)))
