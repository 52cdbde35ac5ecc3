"""Grid R-CNN with ResNet-50, MMDetection's, from random weights: nothing is frozen."""

_base_ = []

from mmengine.hub import get_config  # noqa: E402  # before _base_ it would mean mmengine's other syntax

model = get_config('mmdet::grid_rcnn/grid-rcnn_r50_fpn_gn-head_2x_coco.py').model
model.backbone.update(frozen_stages=-1, norm_eval=False, init_cfg=None)
