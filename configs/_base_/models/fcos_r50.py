"""FCOS with ResNet-50, MMDetection's, from random weights: nothing is frozen."""

_base_ = []

from mmengine.hub import get_config  # noqa: E402  # before _base_ it would mean mmengine's other syntax

model = get_config('mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py').model
model.backbone.update(frozen_stages=-1, norm_eval=False, init_cfg=None)
model.backbone.norm_cfg.requires_grad = True
