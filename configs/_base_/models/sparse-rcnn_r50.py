"""Sparse R-CNN with ResNet-50, MMDetection's, from random weights: nothing is frozen.

Two parts are ours: proposals whose corners stay ordered, since mmcv's RoIAlign fails on a CPU otherwise, and a loss
that is divided by at least 1, for batches without a cell.
"""

_base_ = []

from mmengine.hub import get_config  # noqa: E402  # before _base_ it would mean mmengine's other syntax

model = get_config('mmdet::sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco.py').model
model.rpn_head.type = 'mmleuk.EmbeddingRPNHead'
for _head in model.roi_head.bbox_head:
    _head.loss_cls.type = 'mmleuk.KnownFocalLoss'
del _head
model.backbone.update(frozen_stages=-1, norm_eval=False, init_cfg=None)
