"""AttributeRecognizer with a quarter of ResNet-18's width, for rendered crops of 96 px; 0.7 M weights."""

model = dict(
    type='mmleuk.AttributeRecognizer',
    data_preprocessor=dict(
        type='DetDataPreprocessor', mean=[114.0, 114.0, 114.0], std=[64.0, 64.0, 64.0], bgr_to_rgb=True),
    attributes='synthetic_crops',
    crop_size=96,
    encoder=dict(
        type='mmdet.ResNet', depth=18, base_channels=16, num_stages=4, out_indices=(3,), frozen_stages=-1,
        norm_eval=False, norm_cfg=dict(type='GN', num_groups=8)))
