"""Which predictions outside the annotated regions become pseudo-labels (LLD 4.3.2, Eq. 5 and 6).

Legend: B images, K candidates over the batch, C classes, R regions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from mmcv.ops import batched_nms
from mmdet.structures.bbox import bbox_overlaps
from torch import Tensor

from mmleuk.errors import UserError
from mmleuk.models.task_modules.yolov5_assigner import BatchCells
from mmleuk.registry import TASK_UTILS
from mmleuk.structures.regions import points_in_regions

CRITERIA = ('confidence', 'area', 'unsure', 'entropy', 'kept')
"""What becomes of a candidate, in the order of the tests; every candidate falls to exactly one."""


@dataclass(frozen=True)
class Candidates:
    """Predictions outside the regions after non-maximum suppression.

    Attributes:
        image: (K,) int64.
        boxes: (K, 4) xyxy in input pixels.
        probabilities: (K, C) class probabilities, not normalised over classes.
        confidence: (K,) largest class probability times objectness.
    """

    image: Tensor
    boxes: Tensor
    probabilities: Tensor
    confidence: Tensor

    @property
    def labels(self) -> Tensor:
        """(K,) int64, the most probable class."""
        return self.probabilities.argmax(1)

    def keep(self, index: Tensor) -> Candidates:
        """Rows by index or mask."""
        return Candidates(**{name: value[index] for name, value in vars(self).items()})


@dataclass(frozen=True)
class Selection:
    """What became of the candidates.

    Attributes:
        kept: pseudo-labels.
        unsure: candidates for the similarity loss (t0 < confidence <= t1).
        counts: number of candidates per entry of :data:`CRITERIA`.
        entropy: (number kept,) bits.
        by_criterion: the candidates themselves per entry of :data:`CRITERIA`, for looking at what was dropped.
    """

    kept: Candidates
    unsure: Candidates
    counts: dict[str, int]
    entropy: Tensor
    by_criterion: dict[str, Candidates] = field(default_factory=dict)


def class_entropy(probabilities: Tensor) -> Tensor:
    """Entropy in bits of the normalised class probabilities (LLD Eq. 5); (K, C) -> (K,).

    >>> class_entropy(torch.tensor([[0.5, 0.5], [0.9, 0.0]])).tolist()
    [1.0, -0.0]
    """
    share = probabilities / probabilities.sum(1, keepdim=True).clamp(min=1e-12)
    return -torch.special.xlogy(share, share).sum(1) / torch.log(share.new_tensor(2.0))


def outside_regions(image: Tensor, boxes: Tensor, regions: Sequence[Tensor]) -> Tensor:
    """Candidates (K,) whose box centre lies in no region of their image."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    outside = torch.zeros_like(image, dtype=torch.bool)
    for index, region in enumerate(regions):
        mine = image == index
        outside |= mine & ~points_in_regions(centres, region)
    return outside


def not_labelled(image: Tensor, boxes: Tensor, cells: BatchCells, max_iou: float) -> Tensor:
    """Candidates (K,) that overlap no labelled cell of their image by more than ``max_iou``.

    A labelled cell on a region's border may be predicted with its centre just outside; it has its label already.
    """
    if not len(cells.label) or not len(image):
        return torch.ones_like(image, dtype=torch.bool)
    iou = bbox_overlaps(boxes, cells.boxes_xyxy)
    return ((iou <= max_iou) | (image[:, None] != cells.image[None])).all(1)


def suppress(candidates: Candidates, max_iou: float, max_per_image: int) -> Candidates:
    """Class-agnostic non-maximum suppression per image, at most ``max_per_image`` each, by falling confidence."""
    if not len(candidates.image):
        return candidates
    # batched_nms keeps images apart by shifting each by the largest coordinate, which only does it without negative
    # ones
    _, keep = batched_nms(candidates.boxes - candidates.boxes.amin(), candidates.confidence, candidates.image,
                          dict(type='nms', iou_threshold=max_iou))
    rank = torch.zeros_like(keep)
    for index in candidates.image[keep].unique():
        mine = candidates.image[keep] == index
        rank[mine] = torch.arange(int(mine.sum()), device=rank.device)
    return candidates.keep(keep[rank < max_per_image])


@TASK_UTILS.register_module()
class PseudoLabelSelector:
    """Sort candidates into pseudo-labels, unsure ones and rejected ones.

    Args:
        min_confidence: t0, 0.70 in the paper; below it a candidate is dropped.
        sure_confidence: t1, 0.95; above it a candidate may become a pseudo-label, up to it it is unsure of its class.
        max_entropy: t2 in bits, 0.26.
        candidate_confidence: candidates enter non-maximum suppression from here on (the authors' release: 0.5).
        nms_iou: IoU of the class-agnostic suppression (release: 0.2).
        max_per_image: candidates kept per image (release: 300).
        max_labelled_iou: a candidate that overlaps a labelled cell by more is that cell (ours).

    Source: LLD 4.3.2, Eq. 5 and 6, thresholds of 5.2. Eq. 6 prints c-hat > t1 where the text says confidence: it is
    the confidence.
    """

    def __init__(self, *, min_confidence: float = 0.70, sure_confidence: float = 0.95, max_entropy: float = 0.26,
                 candidate_confidence: float = 0.5, nms_iou: float = 0.2, max_per_image: int = 300,
                 max_labelled_iou: float = 0.5) -> None:
        if not 0 < min_confidence <= sure_confidence < 1:
            raise UserError('PseudoLabelSelector needs 0 < min_confidence <= sure_confidence < 1, got '
                            f'{min_confidence} and {sure_confidence}')
        self.min_confidence = min_confidence
        self.sure_confidence = sure_confidence
        self.max_entropy = max_entropy
        self.candidate_confidence = min(candidate_confidence, min_confidence)
        self.nms_iou = nms_iou
        self.max_per_image = max_per_image
        self.max_labelled_iou = max_labelled_iou

    def candidates(self, raw: Candidates, regions: Sequence[Tensor], cells: BatchCells) -> Candidates:
        """Suppress overlaps among predictions, then keep those outside the regions that are no labelled cell."""
        found = suppress(raw, self.nms_iou, self.max_per_image)
        outside = outside_regions(found.image, found.boxes, regions)
        return found.keep(outside & not_labelled(found.image, found.boxes, cells, self.max_labelled_iou))

    def select(self, candidates: Candidates, min_area: float) -> Selection:
        """Apply the criteria in the paper's order.

        Args:
            candidates: as of :meth:`candidates`.
            min_area: square pixels of the training set's smallest cell; a pseudo-label must be larger.
        """
        width, height = (candidates.boxes[:, 2:] - candidates.boxes[:, :2]).clamp(0).unbind(1)
        entropy = class_entropy(candidates.probabilities)
        confident = candidates.confidence >= self.min_confidence
        large = confident & (width * height > min_area)
        sure = large & (candidates.confidence > self.sure_confidence)
        kept = sure & (entropy < self.max_entropy)
        unsure = large & ~sure
        fates = dict(confidence=~confident, area=confident & ~large, unsure=unsure, entropy=sure & ~kept, kept=kept)
        by_criterion = {name: candidates.keep(mask) for name, mask in fates.items()}
        return Selection(kept=by_criterion['kept'], unsure=by_criterion['unsure'], entropy=entropy[kept],
                         counts={name: len(group.image) for name, group in by_criterion.items()},
                         by_criterion=by_criterion)
