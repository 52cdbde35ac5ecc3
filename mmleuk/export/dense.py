"""Locations of detectors with one dense head, whose boxes and scores are decoded as MMDetection's base class does.

Legend: B images, P locations, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from torch import Tensor

from mmleuk.models.dense_heads.yolov5_head import YOLOv5Head

SEAMS = ('predict_by_feat', '_predict_by_feat_single', '_bbox_post_process')
"""What a head may not override: the graph does what the base class's do."""


def is_dense(head: object) -> bool:
    """Whether a head gives sigmoid scores, times a factor if it has one, and boxes that the graph can decode."""
    if isinstance(head, YOLOv5Head):
        return True
    if not isinstance(head, BaseDenseHead):
        return False
    own: Any = head
    return (all(getattr(type(own), name) is getattr(BaseDenseHead, name) for name in SEAMS)
            and bool(getattr(own, 'use_sigmoid_cls', False)) and hasattr(own, 'prior_generator')
            and hasattr(own, 'bbox_coder') and not getattr(own, 'with_score_voting', False)
            and not getattr(getattr(own, 'loss_cls', None), 'custom_cls_channels', False))


def decode_locations(head: Any, outputs: Sequence[Sequence[Tensor]]) -> tuple[Tensor, Tensor]:
    """Boxes (B, P, 4) xyxy in input pixels, not clipped, and probabilities (B, P, 1 + C): a factor of all classes'
    scores, then the classes.

    Args:
        head: one for which :func:`is_dense` is true.
        outputs: as of its ``forward``: per level scores, boxes, and for some heads factors, (B, channels, H, W).
    """
    if isinstance(head, YOLOv5Head):
        return head.decode(*outputs)
    scores, boxes, *factors = outputs
    priors = torch.cat(head.prior_generator.grid_priors(
        [level.shape[-2:] for level in scores], dtype=scores[0].dtype, device=scores[0].device))
    most = head.test_cfg.get('nms_pre', -1)
    classes = torch.cat([_best(_flat([level], head.cls_out_channels).sigmoid(), most) for level in scores], 1)
    factor = _flat(factors[0], 1).sigmoid() if factors else torch.ones_like(classes[..., :1])
    deltas = _flat(boxes, head.bbox_coder.encode_size)
    rows = deltas.flatten(0, 1)
    decoded = head.bbox_coder.decode(priors.repeat(deltas.shape[0], 1), rows)
    return decoded.unflatten(0, (deltas.shape[0], deltas.shape[1])), torch.cat([factor, classes], 2)


def _best(probs: Tensor, most: int) -> Tensor:
    """Probabilities (B, P, C) of one level, 0 where ``most`` others of the image are higher; -1: all stay."""
    if most < 0:
        return probs
    flat = probs.flatten(1)
    filled = torch.cat([flat, flat.new_zeros(flat.shape[0], most)], 1)  # for levels with fewer
    lowest = filled.topk(most, 1).values[:, -1]
    return torch.where(probs >= lowest[:, None, None], probs, 0)


def _flat(levels: Sequence[Tensor], width: int) -> Tensor:
    """Maps (B, anchors * width, H, W) -> (B, P, width)."""
    return torch.cat([level.permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, width)) for level in levels], 1)
