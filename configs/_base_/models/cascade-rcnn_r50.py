"""Cascade R-CNN with ResNet-50, MMDetection's, from random weights: nothing is frozen."""

_base_ = 'mmdet::_base_/models/cascade-rcnn_r50_fpn.py'

model = dict(backbone=dict(frozen_stages=-1, norm_eval=False, init_cfg=None))
