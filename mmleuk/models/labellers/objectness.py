"""SparseDet's mining: what looks like a cell far from every labelled one is no background."""

from __future__ import annotations

from mmdet.structures.bbox import bbox_overlaps
from mmengine.structures import InstanceData
from torch import Tensor

from mmleuk.models.labellers.base import KEPT, Labeller, Request, judged
from mmleuk.registry import TASK_UTILS


@TASK_UTILS.register_module()
class ObjectnessLabeller(Labeller):
    """Predictions with a high score far from every labelled cell are set aside: no background is learnt under them.

    They teach no class and no box. The score is a proposal's objectness in two-stage detectors, else a prediction's
    confidence.

    Args:
        min_objectness: more than this is needed.
        max_iou: with every labelled cell at most this; where there are none, objectness alone decides.
        nms_iou: overlap of the predictions that are looked at.
        max_per_image: predictions looked at.

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
        """Proposals, or one prediction per place."""
        return Request(self.min_objectness, self.nms_iou, class_agnostic=True, max_per_image=self.max_per_image,
                       proposals=True)

    def select(self, predictions: InstanceData, truth: InstanceData, regions: Tensor) -> InstanceData:
        """Judge one image's predictions; see :class:`Labeller`. None is kept as a label; regions play no part."""
        found = predictions.scores > self.min_objectness
        far = (bbox_overlaps(predictions.bboxes, truth.bboxes) <= self.max_iou).all(1)
        aside = found & far
        return judged(predictions, found.long() + aside.long(), kept=3, ignored=aside)
