"""Grid R-CNN with ResNet-50, MMDetection's: the model alone, without its data and schedule."""

_base_ = []

from mmengine.hub import get_config  # noqa: E402  # before _base_ it would mean mmengine's other syntax

model = get_config('mmdet::grid_rcnn/grid-rcnn_r50_fpn_gn-head_2x_coco.py').model
