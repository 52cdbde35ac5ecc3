"""DINO with ResNet-50, MMDetection's: the model alone, without its data and schedule."""

_base_ = []

from mmengine.hub import get_config  # noqa: E402  # before _base_ it would mean mmengine's other syntax

model = get_config('mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py').model
