"""FCN with a dilated ResNet-50 (49.5 M parameters), as MMSegmentation's fcn_r50-d8, for six parts of cells."""

model = dict(
    type='mmseg.EncoderDecoder',
    data_preprocessor=dict(
        type='mmseg.SegDataPreProcessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True,
        size=(352, 352), pad_val=0, seg_pad_val=255, test_cfg=dict(size_divisor=32)),
    backbone=dict(
        type='mmseg.ResNetV1c', depth=50, num_stages=4, out_indices=(0, 1, 2, 3), dilations=(1, 1, 2, 4),
        strides=(1, 2, 1, 1), norm_cfg=dict(type='BN'), norm_eval=False, style='pytorch', contract_dilation=True),
    decode_head=dict(
        type='mmseg.FCNHead', in_channels=2048, in_index=3, channels=512, num_convs=2, concat_input=True,
        dropout_ratio=0.1, num_classes=6, norm_cfg=dict(type='BN'), align_corners=False,
        loss_decode=dict(type='mmseg.CrossEntropyLoss', avg_non_ignore=True)),
    auxiliary_head=dict(
        type='mmseg.FCNHead', in_channels=1024, in_index=2, channels=256, num_convs=1, concat_input=False,
        dropout_ratio=0.1, num_classes=6, norm_cfg=dict(type='BN'), align_corners=False,
        loss_decode=dict(type='mmseg.CrossEntropyLoss', avg_non_ignore=True, loss_weight=0.4)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
