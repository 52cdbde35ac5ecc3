"""YOLOv5's three losses over its levels, restricted to the places where truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot

from mmleuk.models.losses.box_iou import complete_iou
from mmleuk.models.task_modules.yolov5_assigner import LevelAssignment


@dataclass(frozen=True)
class LossParts:
    """Box, objectness and class loss, each a scalar before gains, summed over levels."""

    box: Tensor
    objectness: Tensor
    classes: Tensor


def decode_boxes(logits: Tensor, anchor_size: Tensor) -> Tensor:
    """Centre and size in grid units from raw outputs (K, 4) and anchors (K, 2) in grid units.

    The centre moves from -0.5 to 1.5 around the grid cell's corner, the size from 0 to 4 anchors.
    """
    unit = logits.sigmoid()
    return torch.cat([unit[..., :2] * 2 - 0.5, (unit[..., 2:] * 2) ** 2 * anchor_size], -1)


def level_losses(logits: Tensor, assigned: LevelAssignment, background: Tensor | None,
                 others: Tensor | int = 0, vouched: Tensor | None = None) -> LossParts:
    """Losses of one level.

    Args:
        logits: (B, A, H, W, 5 + C) raw outputs: box 4, objectness, classes.
        assigned: the predictions that learn a cell; they count wherever they lie.
        background: (B, H, W) bool, the places where 'no cell here' is known; None means everywhere. Or (B, A, H, W)
            float, how much each prediction's 'no cell here' weighs; 0 is unknown. The objectness mean runs over known
            places and assigned predictions alone; weights don't change what it is divided by.
        others: how many predictions the objectness is divided by beside these; those that another loss counts.
        vouched: (B, A, H, W) in [0, 1], what objectness learns where the assigned cell isn't labelled; None: the IoU of
            the predicted box with the cell's, as everywhere else.

    Returns:
        Means over this level's counted entries; 0 (with a gradient path) where nothing counts.
    """
    where = (assigned.image, assigned.anchor, assigned.row, assigned.column)
    objectness = logits[..., 4]
    target = torch.zeros_like(objectness)
    box = classes = objectness[:0].sum()
    num_classes = logits.shape[-1] - 5
    if len(assigned.label):
        predicted = logits[where]
        iou = complete_iou(decode_boxes(predicted[:, :4], assigned.anchor_size), assigned.boxes)
        misfit = 1 - iou if assigned.exact is None else (1 - iou)[assigned.exact]
        box = misfit.sum() / max(len(misfit), 1)
        set_quality(target, assigned, iou.detach().clamp(0).to(target.dtype), vouched)
        if num_classes > 1:
            labels = one_hot(assigned.label, num_classes).to(predicted.dtype)
            classes = binary_cross_entropy_with_logits(predicted[:, 5:], labels)
    if background is None:
        return LossParts(box, binary_cross_entropy_with_logits(objectness, target), classes)
    weights = (background if background.dim() == 4 else background[:, None]).expand_as(objectness).clone()
    weights[where] = 1
    counted = weights > 0
    terms = binary_cross_entropy_with_logits(objectness, target, reduction='none')
    if weights.is_floating_point():
        terms = terms * weights
    total = torch.where(counted, terms, 0).sum()  # not terms[counted]: its gradient takes longer than the whole loss
    return LossParts(box, total / (counted.sum() + others).clamp(min=1), classes)


def set_quality(target: Tensor, assigned: LevelAssignment, iou: Tensor, vouched: Tensor | None) -> None:
    """Write what objectness learns into ``target`` (B, A, H, W), in place; a labelled cell has the last word.

    Args:
        iou: (K,) of the predicted boxes with their cells.
        vouched: as in :func:`level_losses`.
    """
    where = (assigned.image, assigned.anchor, assigned.row, assigned.column)
    if vouched is None or assigned.labelled is None:
        target[where] = iou
        return
    opinion = tuple(index[~assigned.labelled] for index in where)
    target[opinion] = vouched[opinion].to(target.dtype)
    target[tuple(index[assigned.labelled] for index in where)] = iou[assigned.labelled]


def sum_levels(parts: Sequence[LossParts], balance: Sequence[float]) -> LossParts:
    """Sum over levels; ``balance`` weighs each level's objectness (release 6: 4, 1, 0.4 from stride 8 on)."""
    return LossParts(
        box=torch.stack([p.box for p in parts]).sum(),
        objectness=torch.stack([p.objectness * b for p, b in zip(parts, balance)]).sum(),
        classes=torch.stack([p.classes for p in parts]).sum())
