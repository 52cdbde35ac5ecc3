"""Labels for images without any annotation: detections above a score."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.structures import InstanceData
from torch import Tensor

from mmleuk.errors import UserError
from mmleuk.models.labellers.base import KEPT, UNSURE, Labeller, Request, judged
from mmleuk.registry import TASK_UTILS


@TASK_UTILS.register_module()
class ScoreLabeller(Labeller):
    """Detections above a score become labels; optionally no background is learnt under those of a lower score.

    Labelled cells and regions are not used: this labeller is for images that have none, such as those of another
    microscope.

    Args:
        min_score: a label's score is at least this; one number, or one per class.
        unsure_score: detections of at least this score, but under ``min_score``, are set aside: neither cells
            nor background. None: they are background.
        nms_iou: IoU of the suppression across classes.
        max_per_image: largest number of detections.

    Raises:
        UserError: a score lies outside of (0, 1), or ``unsure_score`` above a ``min_score``.
    """

    criteria = (UNSURE, KEPT)
    counts_as_annotated = True
    needs_regions = False

    def __init__(self, *, min_score: float | Sequence[float], unsure_score: float | None = None, nms_iou: float = 0.5,
                 max_per_image: int = 300) -> None:
        per_class = [min_score] if isinstance(min_score, (int, float)) else list(min_score)
        lowest = min(per_class) if unsure_score is None else unsure_score
        if not all(0 < lowest <= score < 1 for score in per_class):
            raise UserError('ScoreLabeller needs 0 < unsure_score <= min_score < 1, got '
                            f'unsure_score={unsure_score} and min_score={min_score}')
        self.min_score = per_class
        self.lowest = lowest
        self.sets_aside = unsure_score is not None
        self.nms_iou = nms_iou
        self.max_per_image = max_per_image

    def request(self, source: str) -> Request:
        """One detection per location."""
        return Request(self.lowest, self.nms_iou, class_agnostic=True, max_per_image=self.max_per_image)

    def select(self, predictions: InstanceData, truth: InstanceData, regions: Tensor) -> InstanceData:
        """Judge one image's predictions; see :class:`Labeller`."""
        wanted = predictions.scores.new_tensor(self.min_score)
        wanted = wanted[predictions.labels] if len(wanted) > 1 else wanted
        kept = predictions.scores >= wanted
        aside = ~kept if self.sets_aside else torch.zeros_like(kept)
        return judged(predictions, kept.long(), kept=1, ignored=aside)
