"""A small AttriDet of random weights with its config, and pictures to look at."""

import cv2
import numpy as np
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

CLASSES = ('None', 'Blast', 'Neutrophil')
SCHEMA = dict(shape=['round', 'odd'], hue=['red', 'blue', 'grey'])
DETECTOR = dict(
    type='FCOS',
    data_preprocessor=dict(type='DetDataPreprocessor', mean=[0., 0., 0.], std=[255., 255., 255.], pad_size_divisor=32),
    backbone=dict(type='ResNet', depth=18, base_channels=8, out_indices=(1, 2, 3), norm_eval=False),
    neck=dict(type='FPN', in_channels=[16, 32, 64], out_channels=16, num_outs=3),
    bbox_head=dict(type='FCOSHead', num_classes=3, in_channels=16, feat_channels=16, stacked_convs=1,
                   strides=[8, 16, 32], regress_ranges=((-1, 64), (64, 128), (128, 1e8)),
                   norm_cfg=dict(type='GN', num_groups=4)),
    test_cfg=dict(nms_pre=50, min_bbox_size=0, score_thr=0.001, nms=dict(type='nms', iou_threshold=0.5),
                  max_per_img=8))
ATTRI_DET = dict(
    type='mmleuk.AttriDet', detector=DETECTOR, feature_layers=['backbone.layer1', 'backbone.layer2'],
    attri_head=dict(type='mmleuk.AttriHead', attributes=SCHEMA, conv_channels=[8], fc_channels=[16]))
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(96, 96), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))]


def make_config(model, **dataset):
    data = dict(type='CocoDataset', ann_file='none.json', pipeline=PIPELINE, **dataset)
    return Config(dict(default_scope='mmdet', model=model, test_dataloader=dict(dataset=data)))


def save(folder, model, meta):
    torch.manual_seed(0)
    init_default_scope('mmdet')
    built = MODELS.build(model)
    built.init_weights()
    # Random weights all say 'unlikely': lift the bias so that cells are found.
    head = getattr(built, 'detector', built).bbox_head
    torch.nn.init.normal_(head.conv_cls.weight, std=0.5)
    torch.nn.init.zeros_(head.conv_cls.bias)
    torch.save(dict(state_dict=built.state_dict(), meta=meta), folder / 'last.pth')
    return folder / 'last.pth'


def write_attri_det(folder):
    """Config and checkpoint."""
    checkpoint = save(folder, ATTRI_DET, dict(dataset_meta=dict(CLASSES=CLASSES, attributes=SCHEMA)))
    # Not Config.dump, which sorts the attributes.
    data = dict(dataset=dict(type='CocoDataset', ann_file='none.json', pipeline=PIPELINE))
    (folder / 'config.py').write_text(f"default_scope = 'mmdet'\nmodel = {ATTRI_DET}\ntest_dataloader = {data}\n")
    return folder / 'config.py', checkpoint


def write_films(folder):
    """Three pictures, and files that are none or hidden."""
    rng = np.random.default_rng(1)
    for number, name in enumerate(['b.png', 'a/c.jpg', 'a/notes.txt', '.hidden.png', 'a/x & <y>.bmp']):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith('.txt'):
            path.write_text('no image')
        else:
            cv2.imwrite(str(path), rng.integers(0, 255, (40 + 10 * number, 64, 3), np.uint8))
    return folder
