"""Double-Head Faster R-CNN with a small ResNet-18: classes by two layers, boxes by two convolutions of 256 channels.

The original has four convolutions of 1,024 channels; everything else is as in faster-rcnn_r18.py.
"""

_base_ = './faster-rcnn_r18.py'

model = dict(roi_head=dict(
    type='DoubleHeadRoIHead',
    reg_roi_scale_factor=1.3,
    bbox_head=dict(
        _delete_=True,
        type='mmleuk.DoubleConvFCBBoxHead',
        num_convs=2,
        num_fcs=2,
        in_channels=64,
        conv_out_channels=256,
        fc_out_channels=256,
        roi_feat_size=7,
        num_classes=80,
        bbox_coder=dict(
            type='DeltaXYWHBBoxCoder', target_means=[0.0, 0.0, 0.0, 0.0], target_stds=[0.1, 0.1, 0.2, 0.2]),
        reg_class_agnostic=False,
        loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=2.0),
        loss_bbox=dict(type='SmoothL1Loss', beta=1.0, loss_weight=2.0))))
