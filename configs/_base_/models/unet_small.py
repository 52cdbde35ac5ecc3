"""A U-Net of 1.8 M parameters, 16 channels in its first stage, for CPUs. It needs MMSegmentation (extra ``seg``)."""

model = dict(
    type='mmseg.EncoderDecoder',
    data_preprocessor=dict(
        type='mmseg.SegDataPreProcessor', mean=[114.0, 114.0, 114.0], std=[64.0, 64.0, 64.0], bgr_to_rgb=True,
        size=(96, 96), pad_val=0, seg_pad_val=255),
    backbone=dict(
        type='mmseg.UNet', in_channels=3, base_channels=16, num_stages=5, norm_cfg=dict(type='BN'),
        upsample_cfg=dict(type='mmseg.InterpConv'), norm_eval=False),
    decode_head=dict(
        type='mmseg.FCNHead', in_channels=16, in_index=4, channels=16, num_convs=1, concat_input=False,
        dropout_ratio=0.1, num_classes=6, norm_cfg=dict(type='BN'), align_corners=False,
        loss_decode=[
            dict(type='mmseg.CrossEntropyLoss', loss_name='loss_ce', avg_non_ignore=True),
            dict(type='mmseg.DiceLoss', loss_name='loss_dice'),
        ]),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
