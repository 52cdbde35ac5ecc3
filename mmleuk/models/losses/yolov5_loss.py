"""YOLOv5's three losses over its levels, only at locations where the truth is known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot

from mmleuk.models.task_modules.yolov5_assigner import LevelAssignment


@dataclass(frozen=True)
class LossParts:
    """Box, objectness and class loss, each a scalar before gains."""

    box: Tensor
    objectness: Tensor
    classes: Tensor


def complete_iou(first_cxcywh: Tensor, second_cxcywh: Tensor, eps: float = 1e-7) -> Tensor:
    """Complete IoU (CIoU) of row-aligned boxes.

    IoU - (centre distance / diagonal of the hull)^2 - alpha * v, with v the difference of aspect angles and
    alpha = v / (v - IoU + 1) taken as a constant. mmdet's ``CIoULoss`` drops the last term where IoU <= 0.5;
    YOLOv5 keeps it, hence this function.

    Args:
        first_cxcywh: (N, 4) centre and size, any unit.
        second_cxcywh: (N, 4), same unit.

    Returns:
        (N,) in (-1.5, 1].

    Source: Zheng et al., Distance-IoU Loss, AAAI 2020, and its extended version (TCYB 2021).
    """
    (x1, y1, w1, h1), (x2, y2, w2, h2) = first_cxcywh.unbind(-1), second_cxcywh.unbind(-1)
    inter_w = torch.minimum(x1 + w1 / 2, x2 + w2 / 2) - torch.maximum(x1 - w1 / 2, x2 - w2 / 2)
    inter_h = torch.minimum(y1 + h1 / 2, y2 + h2 / 2) - torch.maximum(y1 - h1 / 2, y2 - h2 / 2)
    inter = inter_w.clamp(0) * inter_h.clamp(0)
    iou = inter / (w1 * h1 + w2 * h2 - inter + eps)
    hull_w = torch.maximum(x1 + w1 / 2, x2 + w2 / 2) - torch.minimum(x1 - w1 / 2, x2 - w2 / 2)
    hull_h = torch.maximum(y1 + h1 / 2, y2 + h2 / 2) - torch.minimum(y1 - h1 / 2, y2 - h2 / 2)
    distance = ((x1 - x2) ** 2 + (y1 - y2) ** 2) / (hull_w ** 2 + hull_h ** 2 + eps)
    angle = torch.atan(w2 / (h2 + eps)) - torch.atan(w1 / (h1 + eps))
    v = 4 / math.pi ** 2 * angle ** 2
    alpha = (v / (v - iou + 1 + eps)).detach()
    return iou - distance - alpha * v


def decode_boxes(logits: Tensor, anchor_size: Tensor) -> Tensor:
    """Centre and size in grid units from raw outputs (K, 4) and anchors (K, 2) in grid units.

    The centre moves from -0.5 to 1.5 around the grid cell's corner, the size from 0 to 4 anchors.
    """
    unit = logits.sigmoid()
    return torch.cat([unit[..., :2] * 2 - 0.5, (unit[..., 2:] * 2) ** 2 * anchor_size], -1)


def largest(target: Tensor, where: tuple[Tensor, ...], values: Tensor) -> Tensor:
    """A copy of ``target``; at each index the largest of its own value and the new values (K,), in any order."""
    flat = torch.zeros_like(where[0])
    for index, size in zip(where, target.shape):
        flat = flat * size + index
    return target.flatten().scatter_reduce(0, flat, values, 'amax').view(target.shape)


def _location_weights(background: Tensor, where: tuple[Tensor, ...], assigned: LevelAssignment) -> Tensor:
    """Weights (B, A, H, W) of the objectness: those of the background, written over, and of the labels at ``where``."""
    background[where] = 1 if assigned.weight is None else 0
    if assigned.weight is None:
        return background
    # where labels share a location the larger weight counts, which is an annotated cell's
    return largest(background, where, assigned.weight.to(background))


def level_losses(logits: Tensor, assigned: LevelAssignment, background: Tensor | None = None,
                 others: Tensor | int = 0, objectness_target: Tensor | None = None,
                 over_all: bool = False, class_weights: Tensor | None = None) -> LossParts:
    """Losses of one level.

    Args:
        logits: (B, A, H, W, 5 + C) raw outputs: box 4, objectness, classes.
        assigned: the predictions that learn a cell; they count at any location. If one learns several cells, its
            objectness target is the largest IoU (release 6 takes the one that is written last).
        background: (B, H, W) bool, the locations where 'no cell here' is known; None means everywhere. Or (B, A, H, W)
            float, the weight of each prediction's 'no cell here'; 0 is unknown. The mean of the objectness loss is over
            known locations and assigned predictions; weights don't change its divisor.
        others: predictions that another loss learns; their number is added to the divisor of the objectness loss.
        objectness_target: (B, A, H, W) in [0, 1], the target where the assigned cell isn't annotated. None: the IoU of
            the predicted box with the cell's box, as for annotated cells.
        over_all: the divisor of the objectness loss is the number of all predictions, unknown ones included, so that
            a cell weighs what it does where everything is known.
        class_weights: (C,), weight of a prediction in the class loss by the class that it learns; None: 1.

    Returns:
        Means over this level's counted entries; 0 (with a gradient path) if nothing counts.
    """
    where = (assigned.image, assigned.anchor, assigned.row, assigned.column)
    objectness = logits[..., 4]
    target = torch.zeros_like(objectness)
    box = classes = objectness[:0].sum()
    num_classes = logits.shape[-1] - 5
    if len(assigned.label):
        predicted = logits[where]
        iou = complete_iou(decode_boxes(predicted[:, :4], assigned.anchor_size), assigned.boxes)
        misfit = 1 - iou if assigned.weight is None else (1 - iou) * assigned.weight
        if assigned.teaches_box is not None:
            misfit = misfit[assigned.teaches_box]
        box = misfit.sum() / max(len(misfit), 1)
        quality = iou.detach().clamp(0).to(target.dtype)
        if objectness_target is not None and assigned.annotated is not None:
            found = tuple(index[~assigned.annotated] for index in where)
            target[found] = objectness_target[found].to(target.dtype)
            where_known, quality = tuple(index[assigned.annotated] for index in where), quality[assigned.annotated]
            target[where_known] = 0  # at a shared location the annotated cell decides
        else:
            where_known = where
        target = largest(target, where_known, quality)
        if num_classes > 1:
            labels = one_hot(assigned.label, num_classes).to(predicted.dtype)
            weight = None if assigned.weight is None else assigned.weight[:, None]
            if class_weights is not None:
                of_class = class_weights.to(predicted.dtype)[assigned.label][:, None]
                weight = of_class if weight is None else of_class * weight
            classes = binary_cross_entropy_with_logits(predicted[:, 5:], labels, weight)
    if background is None:
        if assigned.weight is None:
            return LossParts(box, binary_cross_entropy_with_logits(objectness, target), classes)
        background = torch.ones_like(objectness)
    background = background if background.dim() == 4 else background[:, None]
    weights = _location_weights(background.expand_as(objectness).to(objectness.dtype, copy=True), where, assigned)
    counted = weights > 0
    terms = binary_cross_entropy_with_logits(objectness, target, reduction='none') * weights
    total = torch.where(counted, terms, 0).sum()  # not terms[counted]: its gradient takes longer than the whole loss
    divisor = objectness.numel() if over_all else (counted.sum() + others).clamp(min=1)
    return LossParts(box, total / divisor, classes)
