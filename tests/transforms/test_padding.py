"""Detections end where the picture ends."""

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope

from mmleuk.models.dense_heads import YOLOv5Head
from mmleuk.transforms import Pad


def test_padding_keeps_the_pictures_size():
    padded = Pad(size=(8, 8), pad_val=dict(img=(7, 7, 7)))(dict(img=np.zeros((5, 8, 3), np.uint8), img_shape=(5, 8)))
    assert padded['img'].shape == (8, 8, 3) and (padded['img'][5:] == 7).all()
    assert padded['img_shape'] == (5, 8) and padded['pad_shape'][:2] == (8, 8)


def test_a_box_at_the_pictures_border_is_cut_there():
    init_default_scope('mmdet')
    head = YOLOv5Head(num_classes=1, in_channels=(4,), strides=(32,), anchors=(((60, 60),),), objectness_balance=(1.0,),
                      test_cfg=dict(score_thr=0.1, nms_pre=10, nms=dict(type='nms', iou_threshold=0.5), max_per_img=9))
    raw = torch.full((1, 6, 2, 2), -9.)
    raw[0, :, 1, 1] = torch.tensor([0., 0, 0, 0, 9, 9])         # centre 48, 48; 60 x 60 pixels
    meta = dict(img_shape=(50, 64), scale_factor=(0.5, 0.5), ori_shape=(100, 128))
    found, = head.predict_by_feat([raw], [meta], cfg=ConfigDict(head.test_cfg), rescale=True)
    assert found.bboxes.tolist() == [[36, 36, 128, 100]]
