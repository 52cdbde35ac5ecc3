"""AttributeRecognizer with half of ResNet-18's width, for crops of 64 px; 2.8 M weights, runs on a CPU."""

model = dict(
    type='mmleuk.AttributeRecognizer',
    data_preprocessor=dict(
        type='DetDataPreprocessor', mean=[114.0, 114.0, 114.0], std=[64.0, 64.0, 64.0], bgr_to_rgb=True),
    attributes='wbcatt_crops',
    crop_size=64)
