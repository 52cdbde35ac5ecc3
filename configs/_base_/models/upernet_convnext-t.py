"""UPerNet with ConvNeXt-T of the library transformers for six parts of cells (extras ``seg``, ``transformers``)."""

model = dict(
    type='mmseg.EncoderDecoder',
    data_preprocessor=dict(
        type='mmseg.SegDataPreProcessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True,
        size=(352, 352), pad_val=0, seg_pad_val=255, test_cfg=dict(size_divisor=32)),
    backbone=dict(
        type='mmleuk.TransformersEncoder', name='convnext-tiny', out_indices=(0, 1, 2, 3),
        settings=dict(drop_path_rate=0.4)),
    decode_head=dict(
        type='mmseg.UPerHead', in_channels=[96, 192, 384, 768], in_index=[0, 1, 2, 3], pool_scales=(1, 2, 3, 6),
        channels=512, dropout_ratio=0.1, num_classes=6, norm_cfg=dict(type='BN'), align_corners=False,
        loss_decode=dict(type='mmseg.CrossEntropyLoss', avg_non_ignore=True)),
    auxiliary_head=dict(
        type='mmseg.FCNHead', in_channels=384, in_index=2, channels=256, num_convs=1, concat_input=False,
        dropout_ratio=0.1, num_classes=6, norm_cfg=dict(type='BN'), align_corners=False,
        loss_decode=dict(type='mmseg.CrossEntropyLoss', avg_non_ignore=True, loss_weight=0.4)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
