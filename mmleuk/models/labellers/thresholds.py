"""SLA-Det's criteria: predictions outside the annotated regions by confidence, area and entropy (LLD 4.3.2)."""

from __future__ import annotations

import torch
from mmengine.structures import InstanceData
from torch import Tensor

from mmleuk.errors import UserError
from mmleuk.models.labellers.base import (
    KEPT,
    UNSURE,
    Labeller,
    Request,
    box_area,
    centres_in,
    judged,
    overlaps_cell,
)
from mmleuk.registry import TASK_UTILS


def class_entropy(probabilities: Tensor) -> Tensor:
    """Entropy in bits of the normalised class probabilities (LLD Eq. 5); (K, C) -> (K,).

    >>> class_entropy(torch.tensor([[0.5, 0.5], [0.9, 0.0]])).tolist()
    [1.0, -0.0]
    """
    total = probabilities.sum(1, keepdim=True).clamp(min=1e-12)
    share = probabilities / total
    return -torch.special.xlogy(share, share).sum(1) / torch.log(share.new_tensor(2.0))


@TASK_UTILS.register_module()
class ThresholdLabeller(Labeller):
    """Fixed thresholds sort predictions outside the regions: labels, unsure predictions and rejected ones.

    Args:
        min_confidence: t0, 0.70 in the paper; a prediction below it is rejected.
        sure_confidence: t1, 0.95; a prediction above it may become a label; between t0 and t1 it is unsure.
        max_entropy: t2 in bits, 0.26.
        candidate_confidence: smallest confidence of a prediction in the suppression (the authors' release: 0.5).
        nms_iou: IoU of the class-agnostic suppression (release: 0.2).
        max_per_image: predictions kept per image (release: 300).
        max_labelled_iou: a prediction with a larger IoU with a labelled cell shows that cell (ours).

    Source: LLD 4.3.2, Eq. 5 and 6, thresholds of 5.2. Eq. 6 prints c-hat > t1; the text says
    confidence, and so does this class.
    """

    criteria = ('confidence', 'area', UNSURE, 'entropy', KEPT)

    def __init__(self, *, min_confidence: float = 0.70, sure_confidence: float = 0.95, max_entropy: float = 0.26,
                 candidate_confidence: float = 0.5, nms_iou: float = 0.2, max_per_image: int = 300,
                 max_labelled_iou: float = 0.5) -> None:
        if not 0 < min_confidence <= sure_confidence < 1:
            raise UserError('ThresholdLabeller needs 0 < min_confidence <= sure_confidence < 1, got '
                            f'{min_confidence} and {sure_confidence}')
        self.min_confidence = min_confidence
        self.sure_confidence = sure_confidence
        self.max_entropy = max_entropy
        self.candidate_confidence = min(candidate_confidence, min_confidence)
        self.nms_iou = nms_iou
        self.max_per_image = max_per_image
        self.max_labelled_iou = max_labelled_iou

    def request(self, source: str) -> Request:
        """One prediction per location, with class probabilities."""
        return Request(self.candidate_confidence, self.nms_iou, class_agnostic=True, max_per_image=self.max_per_image)

    def select(self, predictions: InstanceData, truth: InstanceData, regions: Tensor) -> InstanceData:
        """Judge one image's predictions; see :class:`Labeller`. The result also has ``entropy`` (K,) in bits."""
        boxes = predictions.bboxes
        found = predictions[~centres_in(boxes, regions) & ~overlaps_cell(boxes, truth.bboxes, self.max_labelled_iou)]
        entropy = class_entropy(found.probabilities)
        confident = found.scores >= self.min_confidence
        large = box_area(found.bboxes) > self.min_area
        certain = found.scores > self.sure_confidence
        # in the paper's order: only predictions that pass a test reach the next one
        outcome = torch.where(entropy < self.max_entropy, 4, 3)
        outcome = torch.where(certain, outcome, 2)
        outcome = torch.where(large, outcome, 1)
        answer = judged(found, torch.where(confident, outcome, 0), kept=4)
        answer.entropy = entropy
        return answer
