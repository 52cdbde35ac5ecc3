"""YOLOv5's head that learns from what isn't annotated, too: a positive-unlabelled loss of the objectness.

Legend: B images, L levels, A anchors of a level, H x W its grid, C classes, N cells of an image, R regions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.utils import InstanceList
from mmengine.dist import all_reduce
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from mmleuk.errors import UserError
from mmleuk.models.dense_heads.yolov5_head import YOLOv5Head, crowd_boxes
from mmleuk.models.labellers.base import DenseTargets
from mmleuk.models.losses.yolov5_loss import complete_iou, decode_boxes, largest
from mmleuk.models.task_modules.yolov5_assigner import BatchCells, LevelAssignment, locations_in_regions
from mmleuk.registry import MODELS
from mmleuk.structures.regions import regions_of


@MODELS.register_module()
class PositiveUnlabelledYOLOv5Head(YOLOv5Head):
    """YOLOv5's head; outside the annotated regions the objectness learns how many cells there should be.

    L_LR learns nothing outside. Plain training learns 'no cell here' there, also on the cells that nobody annotated.
    This head learns 'no cell here' everywhere outside and subtracts what the hidden cells are expected to add. Per
    level, with the share ``p`` of predictions that learn a cell, measured in the regions, a prediction outside adds

        p * E[loss of a cell] + max(0, E_outside[loss of 'no cell'] - p * E[loss of 'no cell' at a cell])

    The second and third mean run over the labelled cells' predictions. ``loss_obj`` is divided by all locations
    (``objectness_mean='all'``), so both together estimate the objectness loss of complete labels. The estimate is
    right where regions are placed at random; where they show some types more often, hidden cells are taken for these.

    Args:
        gain_unlabelled: weight of the loss outside the regions; 0 is L_LR with ``objectness_mean='all'``.
        decay: factor of the counts behind ``p`` after each batch; 0.99 averages over about 100 batches.
        others: as of :class:`YOLOv5Head`; ``truth`` is 'regions' and ``objectness_mean`` is 'all'.

    Raises:
        UserError: another ``truth`` or ``objectness_mean``, a negative gain, or a decay outside of (0, 1).

    ``p`` is a buffer: checkpoints hold it, and a resumed training continues with it.
    Source: nnPU (Kiryo et al., NeurIPS 2017, Eq. 6) per level, with the prior from the regions. YOLOv5's soft targets
    and the regions are ours; the paper classifies images and is given the prior.
    """

    learning: Tensor
    known: Tensor

    def __init__(self, *, gain_unlabelled: float = 1.0, decay: float = 0.99, **kwargs: Any) -> None:
        super().__init__(**dict(truth='regions', objectness_mean='all') | kwargs)
        if (self.truth, self.objectness_mean) != ('regions', 'all'):
            raise UserError("PositiveUnlabelledYOLOv5Head needs truth='regions' and objectness_mean='all', got "
                            f'{self.truth!r} and {self.objectness_mean!r}')
        if gain_unlabelled < 0 or not 0 < decay < 1:
            raise UserError('PositiveUnlabelledYOLOv5Head needs gain_unlabelled of at least 0 and decay in (0, 1); got '
                            f'{gain_unlabelled} and {decay}')
        self.gain_unlabelled = gain_unlabelled
        self.decay = decay
        self.register_buffer('learning', torch.zeros(len(self.strides)))
        self.register_buffer('known', torch.zeros(len(self.strides)))

    def loss_by_feat(self, outputs: Sequence[Tensor], batch_gt_instances: InstanceList, batch_img_metas: list[dict],
                     batch_gt_instances_ignore: InstanceList | None = None,
                     dense_targets: DenseTargets | None = None) -> dict[str, Tensor]:
        """Losses of :class:`YOLOv5Head`, whose arguments these are, and ``loss_unlabelled``, a scalar.

        Raises:
            UserError: the labels are found by a labeller; this head learns from annotated cells alone.
        """
        cells = BatchCells.from_instances(batch_gt_instances)
        if dense_targets is not None or cells.annotated is not None:
            raise UserError('PositiveUnlabelledYOLOv5Head learns from annotated cells alone; take mmleuk.YOLOv5Head '
                            'for pseudo-labels')
        losses = super().loss_by_feat(outputs, batch_gt_instances, batch_img_metas, batch_gt_instances_ignore)
        logits = self.per_anchor(outputs)
        crowds = crowd_boxes(batch_gt_instances_ignore, len(batch_img_metas), logits[0])
        regions = regions_of(batch_img_metas, logits[0])
        assigned = self.assign(cells, logits)
        grids = [(tuple(level.shape[2:4]), stride) for level, stride in zip(logits, self.strides)]
        inside = [locations_in_regions(regions, *grid) for grid in grids]
        outside = [~known & ~locations_in_regions(crowds, *grid) for known, grid in zip(inside, grids)]
        prior = self.update_prior(assigned, inside)
        parts = [unlabelled_objectness(*level) * balance
                 for *level, balance in zip(logits, assigned, outside, prior, self.objectness_balance)]
        gain = self.gain_unlabelled * self.gain_objectness * len(batch_img_metas)
        return losses | dict(loss_unlabelled=torch.stack(parts).sum() * gain)

    @torch.no_grad()
    def update_prior(self, assigned: Sequence[LevelAssignment], inside: Sequence[Tensor]) -> Tensor:
        """Add a batch, of all processes together, and return ``p`` (L,).

        In evaluation mode nothing is added.

        Args:
            assigned: per level what learns a labelled cell.
            inside: per level (B, H, W) bool, the locations in the regions.
        """
        if self.training:
            learning = self.learning.new_tensor([number_of_predictions(level) for level in assigned])
            known = torch.stack([grid.sum() * self.num_anchors for grid in inside]).to(self.known)
            for total, new in ((self.learning, learning), (self.known, known)):
                all_reduce(new)  # every process has the same prior
                total.mul_(self.decay).add_(new)
        return self.learning / self.known.clamp(min=1)


def number_of_predictions(assigned: LevelAssignment) -> int:
    """How many predictions learn a cell; one that learns several counts once."""
    return len(torch.stack([assigned.image, assigned.anchor, assigned.row, assigned.column], 1).unique(dim=0))


def unlabelled_objectness(logits: Tensor, assigned: LevelAssignment, outside: Tensor, prior: Tensor) -> Tensor:
    """The expected objectness loss of one level's predictions outside the regions, over the number of all.

    Args:
        logits: (B, A, H, W, 5 + C) raw outputs.
        assigned: the predictions that learn a labelled cell.
        outside: (B, H, W) bool, where nothing is annotated.
        prior: (), share of predictions that learn a cell.

    Returns:
        A scalar; 0 (with a gradient path) without a labelled cell, since nothing is known of hidden cells then.
    """
    objectness = logits[..., 4]
    if not len(assigned.label):
        return objectness[:0].sum()
    where = (assigned.image, assigned.anchor, assigned.row, assigned.column)
    predicted = logits[where].detach()
    quality = complete_iou(decode_boxes(predicted[:, :4], assigned.anchor_size), assigned.boxes).clamp(0)
    target = largest(torch.zeros_like(objectness), where, quality.to(objectness.dtype))
    cell = torch.zeros_like(objectness, dtype=torch.bool)
    cell[where] = True
    unlabelled = outside[:, None] & ~cell
    no_cell = softplus(objectness)
    of_cells = binary_cross_entropy_with_logits(objectness[cell], target[cell])
    count = unlabelled.sum()
    background = (no_cell * unlabelled).sum() / count.clamp(min=1) - prior * no_cell[cell].mean()
    return (prior * of_cells + background.clamp(min=0)) * count / objectness.numel()
