"""YOLOv5's head with an uncertainty of every box coordinate, as ConfMix needs it.

Legend: B images, A anchors, C classes, K assignments.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from mmdet.utils import InstanceList
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmleuk.errors import UserError
from mmleuk.models.dense_heads.yolov5_head import YOLOv5Head
from mmleuk.models.labellers.base import DenseTargets
from mmleuk.models.losses.yolov5_loss import decode_boxes
from mmleuk.models.task_modules.yolov5_assigner import BatchCells, LevelAssignment
from mmleuk.registry import MODELS

COORDINATES = 4


def gaussian_misfit(boxes: Tensor, targets: Tensor, sigma: Tensor, floor: float = 0.3) -> Tensor:
    """1 - N of each coordinate, N the height of a normal density of width ``sigma`` around the predicted coordinate.

    N = exp(-((y - mu) / sigma)^2 / 2) / (sqrt(2 pi) (sigma + floor)). So a confident prediction (small sigma) gains
    most where it is right, and an unsure one loses least where it is wrong.

    Args:
        boxes: (K, 4) predicted mu, grid units.
        targets: (K, 4) y, grid units.
        sigma: (K, 4) in (0, 1), grid units.
        floor: keeps N finite.

    Returns:
        (K, 4); negative where a confident coordinate is right.

    Example:
        >>> one = torch.ones(1, 4)
        >>> [round(x, 3) for x in gaussian_misfit(one, one, one * torch.tensor([0.1, 0.2, 0.5, 0.9]))[0].tolist()]
        [0.003, 0.202, 0.501, 0.668]

    Source: ConfMix (WACV 2023, arXiv 2210.11539).
    """
    height = torch.exp(-((targets - boxes) / sigma).square() / 2) / (math.sqrt(2 * math.pi) * (sigma + floor))
    return 1 - height


@MODELS.register_module()
class GaussianYOLOv5Head(YOLOv5Head):
    """YOLOv5's head that also predicts how uncertain each of a box's four coordinates is.

    The box loss is the mean of :func:`gaussian_misfit` instead of 1 - CIoU; the objectness still learns the CIoU. The
    uncertainty's convolutions are separate, so a plain YOLOv5's checkpoint fits, except for them.

    Args:
        kwargs: as of :class:`mmleuk.YOLOv5Head`.

    Attributes:
        uncertainty_weight: delta, 0 to 1. Detections' objectness is multiplied by 1 - delta * (mean sigma).
            :class:`mmleuk.ConfMix` sets it while it chooses labels; otherwise it is 0.

    Raises:
        UserError: ``truth='regions_strict'``, which it doesn't support.

    Source: ConfMix (WACV 2023, arXiv 2210.11539), written from its description.
    """

    uncertainty_weight = 0.0

    def __init__(self, *, in_channels: Sequence[int], **kwargs: Any) -> None:
        super().__init__(in_channels=in_channels, **kwargs)
        if self.truth == 'regions_strict':
            raise UserError("GaussianYOLOv5Head: truth is 'everywhere' or 'regions'")
        self.uncertainty_convs = nn.ModuleList(
            nn.Conv2d(channels, self.num_anchors * COORDINATES, 1) for channels in in_channels)

    def forward(self, feats: Sequence[Tensor]) -> tuple[list[Tensor]]:
        """As YOLOv5's, with four uncertainties after the classes: (B, A * (9 + C), H, W) per level."""
        levels = []
        for feat, output, conv in zip(feats, super().forward(feats)[0], self.uncertainty_convs):
            parts = [part.unflatten(1, (self.num_anchors, -1)) for part in (output, conv(feat))]
            levels.append(torch.cat(parts, 2).flatten(1, 2))
        return (levels,)

    def per_anchor(self, outputs: Sequence[Tensor]) -> list[Tensor]:
        """Raw outputs without uncertainties, as float32 (B, A, H, W, 5 + C) views."""
        return [level[..., :-COORDINATES] for level in super().per_anchor(outputs)]

    def sigma(self, outputs: Sequence[Tensor]) -> list[Tensor]:
        """Uncertainties per level (B, A, H, W, 4) in (0, 1), grid units, of x, y, width and height."""
        return [level[..., -COORDINATES:].sigmoid() for level in super().per_anchor(outputs)]

    def loss_by_feat(self, outputs: Sequence[Tensor], batch_gt_instances: InstanceList, batch_img_metas: list[dict],
                     batch_gt_instances_ignore: InstanceList | None = None,
                     dense_targets: DenseTargets | None = None) -> dict[str, Tensor]:
        """YOLOv5's losses with another ``loss_bbox``."""
        losses = super().loss_by_feat(outputs, batch_gt_instances, batch_img_metas, batch_gt_instances_ignore,
                                      dense_targets)
        logits, sigma = self.per_anchor(outputs), self.sigma(outputs)
        assigned = self.assign(BatchCells.from_instances(batch_gt_instances), logits)
        misfit = torch.stack([self._misfit(*level) for level in zip(logits, sigma, assigned)]).sum()
        return losses | dict(loss_bbox=misfit * self.gain_box * len(batch_img_metas))

    @staticmethod
    def _misfit(logits: Tensor, sigma: Tensor, assigned: LevelAssignment) -> Tensor:
        """Mean of a level; 0 (with a gradient path) without a cell."""
        where = (assigned.image, assigned.anchor, assigned.row, assigned.column)
        boxes = decode_boxes(logits[where][:, :COORDINATES], assigned.anchor_size)
        misfit = gaussian_misfit(boxes, assigned.boxes, sigma[where]).mean(1)
        misfit = misfit if assigned.weight is None else misfit * assigned.weight
        misfit = misfit if assigned.teaches_box is None else misfit[assigned.teaches_box]
        return misfit.sum() / max(len(misfit), 1)

    def decode(self, outputs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """As YOLOv5's; the objectness of uncertain boxes is lower if :attr:`uncertainty_weight` isn't 0."""
        boxes, scores = super().decode(outputs)
        if not self.uncertainty_weight:
            return boxes, scores
        uncertain = torch.cat([level.mean(-1).flatten(1) for level in self.sigma(outputs)], 1)[..., None]
        certainty = 1 - self.uncertainty_weight * uncertain
        return boxes, torch.cat([scores[..., :1] * certainty, scores[..., 1:]], -1)

    def candidates(self, outputs: Sequence[Tensor], min_score: float) -> InstanceList:
        """As YOLOv5's, with the scores of :meth:`decode`."""
        if not self.uncertainty_weight:
            return super().candidates(outputs, min_score)
        found = []
        for boxes, scores in zip(*self.decode(outputs)):
            best, label = (scores[:, :1] * scores[:, 1:]).max(1)
            keep = best >= min_score
            found.append(InstanceData(bboxes=boxes[keep], scores=best[keep], labels=label[keep],
                                      probabilities=scores[keep, 1:]))
        return found
