"""What a teacher's confidence is worth, measured where the truth is known: inside the annotated regions.

Legend: K candidates, C classes, L levels, S strictnesses (IoU from which on a candidate counts as right).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmdet.structures.bbox import bbox_overlaps
from mmengine.dist import all_reduce
from torch import Tensor, nn

from mmleuk.errors import UserError
from mmleuk.models.task_modules.pseudo_labels import Candidates
from mmleuk.models.task_modules.yolov5_assigner import BatchCells

NEVER = 2.0
"""A threshold that no confidence reaches."""


def right_candidates(candidates: Candidates, cells: BatchCells, min_iou: float) -> Tensor:
    """Which candidates (K,) have found a labelled cell: same class, IoU of at least ``min_iou``, the surest of a cell.

    A second candidate on the same cell is wrong, as in the evaluation of detections.
    """
    right = torch.zeros_like(candidates.image, dtype=torch.bool)
    if not len(candidates.image) or not len(cells.label):
        return right
    comparable = (candidates.image[:, None] == cells.image) & (candidates.labels[:, None] == cells.label)
    iou, cell = torch.where(comparable, bbox_overlaps(candidates.boxes, cells.boxes_xyxy), -1.0).max(1)
    order = candidates.confidence.argsort(descending=True, stable=True)
    order = order[iou[order] >= min_iou]
    first_of_cell = torch.full((len(cells.label),), len(order), device=iou.device)
    first_of_cell.scatter_reduce_(0, cell[order], torch.arange(len(order), device=iou.device), 'amin')
    right[order[first_of_cell[first_of_cell < len(order)]]] = True
    return right


class RegionCalibration(nn.Module):
    """Thresholds per class that give pseudo-labels of a wanted precision, and thresholds for background.

    Inside the annotated regions every cell is labelled, so each of a teacher's candidates there is known to be right or
    wrong. Running histograms of confidence, per class, of all candidates and of the right ones give the lowest
    confidence from which on a wanted share is right. The same for 'no cell here': the teacher's objectness at
    places assigned to labelled cells gives the objectness under which only a wanted share of them lies.

    Args:
        num_classes: C.
        num_levels: L.
        min_ious: S strictnesses, from which IoU on a candidate is right.
        precisions: wanted share of right candidates for each strictness.
        missed: share of cells' places that the background threshold may lose.
        min_evidence: candidates (or places) that must have been seen above a threshold, as decayed counts.
        decay: what is left of the counts after one batch; 0.98 remembers about 50 batches.
        bins: of the histograms over [0, 1].

    The histograms are buffers: they are saved, and a resumed training goes on with them. The labels they rest on are
    those the student trains on, so they flatter: hold the result against hidden truth where there is one
    (docs/pseudo_labels.md).
    """

    precisions: Tensor
    right: Tensor
    seen: Tensor
    places: Tensor

    def __init__(self, *, num_classes: int, num_levels: int, min_ious: Sequence[float] = (0.5, 0.75),
                 precisions: Sequence[float] = (0.95, 0.9), missed: float = 0.02, min_evidence: float = 20.0,
                 decay: float = 0.98, bins: int = 100) -> None:
        super().__init__()
        if len(min_ious) != len(precisions) or not all(0 < share < 1 for share in (*precisions, missed, decay)):
            raise UserError('RegionCalibration needs one precision per min_iou, and precisions, missed and decay '
                            f'in (0, 1); got {min_ious}, {precisions}, {missed}, {decay}')
        self.min_ious = tuple(min_ious)
        self.missed = missed
        self.min_evidence = min_evidence
        self.decay = decay
        self.bins = bins
        self.register_buffer('precisions', torch.tensor(precisions), persistent=False)
        self.register_buffer('seen', torch.zeros(num_classes, bins))
        self.register_buffer('right', torch.zeros(len(min_ious), num_classes, bins))
        self.register_buffer('places', torch.zeros(num_levels, bins))

    @torch.no_grad()
    def update(self, candidates: Candidates, cells: BatchCells, objectness: Sequence[Tensor]) -> None:
        """Add a batch, of all processes together in distributed training.

        Args:
            candidates: whose centres lie inside the annotated regions.
            cells: the labelled cells.
            objectness: per level, the teacher's at places assigned to labelled cells, in [0, 1].
        """
        labels, bins = candidates.labels, self._bins(candidates.confidence)
        added = [torch.zeros_like(histogram) for histogram in (self.seen, self.right, self.places)]
        seen, right, places = added
        one = torch.ones_like(candidates.confidence)
        seen.index_put_((labels, bins), one, accumulate=True)
        for histogram, min_iou in zip(right, self.min_ious):
            hits = right_candidates(candidates, cells, min_iou).to(one)
            histogram.index_put_((labels, bins), hits, accumulate=True)
        for histogram, values in zip(places, objectness):
            histogram.index_add_(0, self._bins(values.sqrt()), torch.ones_like(values))
        for histogram, new in zip((self.seen, self.right, self.places), added):
            all_reduce(new)  # every process has the same thresholds
            histogram.mul_(self.decay).add_(new)

    def thresholds(self) -> Tensor:
        """(S, C) lowest confidence from which on the wanted share is right; :data:`NEVER` without evidence for one."""
        seen = self.seen.flip(1).cumsum(1).flip(1)
        right = self.right.flip(2).cumsum(2).flip(2)
        # One wrong candidate more than seen: with little evidence the wanted share is not believed.
        enough = (right >= self.precisions[:, None, None] * (seen + 1)) & (seen >= self.min_evidence)
        enough &= self.seen > 0  # below the least confident candidate nothing is known
        lowest = torch.where(enough, torch.arange(self.bins, device=seen.device), self.bins).amin(2)
        return torch.where(lowest < self.bins, lowest / self.bins, NEVER)

    def background_thresholds(self) -> Tensor:
        """(L,) objectness under which at most ``missed`` of the places of labelled cells lie; 0 without evidence."""
        below = self.places.cumsum(1)
        total = below[:, -1:]
        safe = ((below <= self.missed * total) & (total >= self.min_evidence)).sum(1)
        return (safe / self.bins) ** 2

    def _bins(self, values: Tensor) -> Tensor:
        return (values * self.bins).long().clamp(0, self.bins - 1)
