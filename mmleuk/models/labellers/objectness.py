"""SparseDet's mining: a confident prediction far from every labelled cell is not background."""

from __future__ import annotations

from mmdet.structures.bbox import bbox_overlaps
from mmengine.structures import InstanceData
from torch import Tensor

from mmleuk.models.labellers.base import KEPT, Labeller, Request, judged
from mmleuk.registry import TASK_UTILS


@TASK_UTILS.register_module()
class ObjectnessLabeller(Labeller):
    """Predictions with a high score far from every labelled cell are set aside: no background is learnt under them.

    They do not become labels. In two-stage detectors the score is a proposal's objectness, in others a prediction's
    confidence.

    Args:
        min_objectness: the score must be higher than this.
        max_iou: largest IoU with any labelled cell; without labelled cells only the score counts.
        nms_iou: IoU of the suppression before the tests.
        max_per_image: largest number of predictions to test.

    Source: SparseDet (ICCV 2023), pseudo-positive mining.
    """

    criteria = ('objectness', 'labelled', 'set_aside', KEPT)
    needs_regions = False
    sets_aside = True

    def __init__(self, *, min_objectness: float = 0.8, max_iou: float = 0.2, nms_iou: float = 0.7,
                 max_per_image: int = 300) -> None:
        self.min_objectness = min_objectness
        self.max_iou = max_iou
        self.nms_iou = nms_iou
        self.max_per_image = max_per_image

    def request(self, source: str) -> Request:
        """Proposals, or one prediction per location."""
        return Request(self.min_objectness, self.nms_iou, class_agnostic=True, max_per_image=self.max_per_image,
                       proposals=True)

    def select(self, predictions: InstanceData, truth: InstanceData, regions: Tensor) -> InstanceData:
        """Judge one image's predictions; see :class:`Labeller`. None becomes a label. Regions are not used."""
        found = predictions.scores > self.min_objectness
        far = (bbox_overlaps(predictions.bboxes, truth.bboxes) <= self.max_iou).all(1)
        aside = found & far
        return judged(predictions, found.long() + aside.long(), kept=3, ignored=aside)
