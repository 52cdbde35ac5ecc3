"""A run that takes seconds: a few drawn images, a very small RetinaNet, a config for ``tools/train.py``."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

CLASSES = ('round', 'square')

_CONFIG = """
_base_ = {bases!r}
image_dir = dict(img={images!r})
classes = dict(classes={classes!r})
model = dict(
    type='RetinaNet',
    data_preprocessor=dict(
        type='DetDataPreprocessor', mean=[127.5] * 3, std=[127.5] * 3, pad_size_divisor=32),
    backbone=dict(type='ResNet', depth=18, base_channels=4, stem_channels=4, frozen_stages=-1, norm_eval=False),
    neck=dict(type='FPN', in_channels=[4, 8, 16, 32], out_channels=8, num_outs=5),
    bbox_head=dict(
        type='RetinaHead', num_classes={num_classes}, in_channels=8, stacked_convs=1, feat_channels=8,
        anchor_generator=dict(type='AnchorGenerator', octave_base_scale=4, scales_per_octave=1, ratios=[1.0],
                              strides=[8, 16, 32, 64, 128]),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder'), loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=True),
        loss_bbox=dict(type='L1Loss')),
    train_cfg=dict(
        assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0, ignore_iof_thr=-1),
        sampler=dict(type='RandomSampler', num=32, pos_fraction=0.5, neg_pos_ub=-1, add_gt_as_proposals=False),
        allowed_border=-1, pos_weight=-1, debug=False),
    test_cfg=dict(nms_pre=100, min_bbox_size=0, score_thr=0.0, nms=dict(type='nms', iou_threshold=0.5),
                  max_per_img=10))
train_pipeline = [
    dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomFlip', prob=0.5), dict(type='PhotoMetricDistortion'), dict(type='PackDetInputs')]
test_pipeline = [
    dict(type='LoadImageFromFile'), dict(type='Resize', scale=(64, 64)), dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))]
train_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False, sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='CocoDataset', ann_file={ann!r}, data_prefix=image_dir, metainfo=classes,
                 filter_cfg=dict(filter_empty_gt=False), pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='CocoDataset', ann_file={ann!r}, data_prefix=image_dir, metainfo=classes, test_mode=True,
                 pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='CocoMetric', ann_file={ann!r}, metric='bbox')
test_evaluator = val_evaluator
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs={max_epochs}, val_interval={max_epochs})
default_hooks = dict(logger=dict(interval=1))
"""


def write_tiny_run(folder: Path, bases: list[str], n_images: int = 6, empty: tuple[int, ...] = (5,),
                   max_epochs: int = 3, num_classes: int = 2) -> Path:
    """Draw 64 px images of discs and squares and write annotations and a config.

    The data draws random numbers (flip, colours), and so does the model (it samples anchors).

    Args:
        folder: Where to write; made if missing.
        bases: Config files to start from (runtime, schedule), absolute paths.
        n_images: How many images, 1 to 3 objects each.
        empty: Which of them hold no object.
        max_epochs: Training length; validation follows the last epoch.
        num_classes: What the model's head is built for; the data has 2.

    Returns:
        The config's path, ``folder/tiny.py``.
    """
    rng = np.random.default_rng(0)
    images: list[dict] = []
    annotations: list[dict] = []
    (folder / 'images').mkdir(parents=True, exist_ok=True)
    for image_id in range(n_images):
        picture = rng.integers(200, 256, (64, 64, 3), dtype=np.uint8)
        n_objects = 0 if image_id in empty else int(rng.integers(1, 4))
        for _ in range(n_objects):
            label = int(rng.integers(2))
            box = _draw(picture, label, rng)
            annotations.append(dict(id=len(annotations) + 1, image_id=image_id, category_id=label + 1, bbox=box,
                                    area=box[2] * box[3], iscrowd=0))
        cv2.imwrite(str(folder / 'images' / f'{image_id}.png'), picture)
        images.append(dict(id=image_id, file_name=f'{image_id}.png', width=64, height=64))
    categories = [dict(id=i + 1, name=name) for i, name in enumerate(CLASSES)]
    ann = folder / 'annotations.json'
    ann.write_text(json.dumps(dict(images=images, annotations=annotations, categories=categories)))
    config = folder / 'tiny.py'
    config.write_text(_CONFIG.format(bases=bases, images=f'{folder}/images/', ann=str(ann), classes=CLASSES,
                                     num_classes=num_classes, max_epochs=max_epochs))
    return config


def _draw(picture: np.ndarray, label: int, rng: np.random.Generator) -> list[int]:
    """Draw one object of 24 px side into ``picture``; return its box, [x, y, w, h] in pixels."""
    side = 24
    x, y = (int(v) for v in rng.integers(0, 64 - side, 2))
    if label == 0:
        cv2.circle(picture, (x + side // 2, y + side // 2), side // 2, (160, 40, 120), -1)
    else:
        cv2.rectangle(picture, (x, y), (x + side - 1, y + side - 1), (60, 40, 160), -1)
    return [x, y, side, side]
