"""FSAF with ResNet-50, MMDetection's: the model alone, without its data and schedule."""

_base_ = []

from mmengine.hub import get_config  # noqa: E402  # before _base_ it would mean mmengine's other syntax

model = get_config('mmdet::fsaf/fsaf_r50_fpn_1x_coco.py').model
