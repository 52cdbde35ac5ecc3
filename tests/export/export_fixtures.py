"""A small YOLOv5 whose random weights find cells, its test pipeline, and images."""

import cv2
import numpy as np
import torch

DETECTOR = dict(
    type='SingleStageDetector',
    data_preprocessor=dict(type='DetDataPreprocessor', mean=[0.0] * 3, std=[255.0] * 3, bgr_to_rgb=True,
                           pad_size_divisor=32, pad_value=114),
    backbone=dict(type='mmleuk.YOLOv5Backbone', deepen_factor=0.33, widen_factor=0.125),
    neck=dict(type='mmleuk.YOLOv5PAFPN', in_channels=[32, 64, 128], deepen_factor=0.33),
    bbox_head=dict(type='mmleuk.YOLOv5Head', num_classes=3, in_channels=[32, 64, 128]),
    test_cfg=dict(score_thr=0.001, nms_pre=3000, nms=dict(type='nms', iou_threshold=0.6), max_per_img=40))
PIPELINE = [
    dict(type='mmleuk.LoadImage'), dict(type='Resize', scale=(96, 96), keep_ratio=True),
    dict(type='mmleuk.Pad', size=(96, 96), pad_val=dict(img=(114, 114, 114))),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))]


def spread_outputs(detector):
    """Give the head random weights with outputs of mean 0 and deviation 1.5."""
    for conv, feature in zip(detector.bbox_head.convs, detector.extract_feat(torch.rand(2, 3, 96, 96))):
        torch.nn.init.normal_(conv.weight)
        torch.nn.init.zeros_(conv.bias)
        raw = conv(feature)
        factor = 1.5 / raw.std((0, 2, 3))
        conv.weight.data *= factor[:, None, None, None]
        conv.bias.data = -raw.mean((0, 2, 3)) * factor


def write_films(folder, sizes_hw):
    """Coarse random images."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for number, (height, width) in enumerate(sizes_hw):
        coarse = rng.integers(0, 255, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
        cv2.imwrite(str(folder / f'{number}.png'), cv2.resize(coarse, (width, height)))
