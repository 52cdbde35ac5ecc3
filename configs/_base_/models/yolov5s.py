"""YOLOv5s, release 6.

Every location without a box is background. Sparse annotations need ``bbox_head.truth='regions'``.
"""

model = dict(
    type='SingleStageDetector',
    data_preprocessor=dict(
        type='DetDataPreprocessor', mean=[0.0, 0.0, 0.0], std=[255.0, 255.0, 255.0], bgr_to_rgb=True,
        pad_size_divisor=32, pad_value=114),
    backbone=dict(type='mmleuk.YOLOv5Backbone', deepen_factor=0.33, widen_factor=0.5),
    neck=dict(type='mmleuk.YOLOv5PAFPN', in_channels=[128, 256, 512], deepen_factor=0.33),
    bbox_head=dict(type='mmleuk.YOLOv5Head', num_classes=80, in_channels=[128, 256, 512], image_size=640),
    test_cfg=dict(
        multi_label=True, score_thr=0.001, nms_pre=30000, nms=dict(type='nms', iou_threshold=0.6), max_per_img=300))
