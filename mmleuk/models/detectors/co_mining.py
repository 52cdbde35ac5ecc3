"""Co-mining: two views of an image find labels for each other."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmdet.models.detectors import BaseDetector
from mmdet.models.utils import rename_loss_dict, unpack_gt_instances
from mmdet.structures import OptSampleList, SampleList
from mmdet.utils import InstanceList
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmleuk.errors import UserError
from mmleuk.models.data_preprocessors.two_views import VIEWS
from mmleuk.models.task_modules.mined_labels import add_labels, is_labelled
from mmleuk.registry import MODELS


@dataclass(frozen=True)
class MinedCounts:
    """What a batch's two views found for each other.

    Attributes:
        views: images times 2.
        kept: detections that became labels.
        labelled: detections that were dropped, since they show a labelled cell again.
        confidence: sum of the kept ones' scores.
    """

    views: int
    kept: int
    labelled: int
    confidence: float

    def __add__(self, other: MinedCounts) -> MinedCounts:
        """Of two batches together."""
        return MinedCounts(self.views + other.views, self.kept + other.kept, self.labelled + other.labelled,
                           self.confidence + other.confidence)


NOTHING_MINED = MinedCounts(views=0, kept=0, labelled=0, confidence=0.0)


@MODELS.register_module()
class CoMining(BaseDetector):
    """Wraps a dense detector; in training each view of an image learns also from what the other view shows.

    The two views have the same geometry and differ in colour. One set of weights sees both; each view's detections
    above ``min_score``, less those of labelled cells, become labels of the other view; the loss is the sum of both
    views'. Testing is the wrapped detector's, on the image as it is. Regions play no part: every place without a label
    is background (``truth='everywhere'``), as in the original.

    Both views go through the network as one batch of 2B images, so that BatchNorm in training mode normalises them
    alike; each view's loss is taken on its own half.

    The views come from the pipeline: MMDetection's ``MultiBranch`` at its end, with branches ``original`` and
    ``augmented``, so that the data loader's workers do the work and each sample's randomness is seeded with the rest of
    its pipeline. A jitter on tensors here would need neither, but would run between two optimiser steps, on normalised
    images, batch by batch.

    Args:
        detector: config of a detector with a ``bbox_head`` that has ``loss_by_feat`` and ``predict_by_feat``: YOLOv5,
            RetinaNet, FCOS. Its ``data_preprocessor`` becomes this model's, for each view.
        min_score: detections need more than this to become labels.
        nms_iou: of the suppression per class before that; FCOS had 0.6.
        labelled_iou: a detection that overlaps a labelled cell of its class by more than this is dropped.
        data_preprocessor: overrides the detector's.

    Raises:
        UserError: the detector has no dense head, or one whose outputs mean other things in training.

    Source: Co-mining (AAAI 2021, arXiv 2012.01950): RetinaNet and FCOS from COCO weights with frozen BatchNorm,
    without warm-up or weights of the mined labels; both are so here.
    """

    def __init__(self, detector: dict, *, min_score: float = 0.6, nms_iou: float = 0.5, labelled_iou: float = 0.4,
                 data_preprocessor: dict | None = None, init_cfg: dict | list | None = None) -> None:
        detector = copy.deepcopy(detector)
        own = detector.pop('data_preprocessor', None)
        each_view = data_preprocessor or own or dict(type='DetDataPreprocessor')
        super().__init__(dict(type='mmleuk.TwoViewsDataPreprocessor', data_preprocessor=each_view), init_cfg)
        self.detector = MODELS.build(detector)
        check_head(self.detector)
        self.min_score = min_score
        self.nms_iou = nms_iou
        self.labelled_iou = labelled_iou
        self.mining = True  # CoMiningHook may switch it on later
        self.last_mined: MinedCounts | None = None

    def extract_feat(self, batch_inputs: Tensor) -> tuple[Tensor, ...]:
        """The detector's own features of images (B, 3, H, W)."""
        return self.detector.extract_feat(batch_inputs)

    def _forward(self, batch_inputs: Tensor, batch_data_samples: OptSampleList = None) -> tuple:
        """The detector's raw outputs for images (B, 3, H, W)."""
        return self.detector._forward(batch_inputs, batch_data_samples)

    def predict(self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True) -> SampleList:
        """The detector's predictions for images (B, 3, H, W), as they are."""
        return self.detector.predict(batch_inputs, batch_data_samples, rescale=rescale)

    def loss(self, batch_inputs: dict[str, Tensor], batch_data_samples: dict[str, SampleList]) -> dict[str, Any]:
        """The detector's losses for either view, under its own names with ``original_`` and ``augmented_`` before.

        Args:
            batch_inputs: per view (B, 3, H, W).
            batch_data_samples: per view B samples; ``gt_instances`` with bboxes (N, 4) in input pixels.
        """
        samples = [sample for view in VIEWS for sample in batch_data_samples[view]]
        truth, ignored, metas = unpack_gt_instances(samples)
        outputs = self.detector.bbox_head(self.extract_feat(torch.cat([batch_inputs[view] for view in VIEWS])))
        labels = truth
        self.last_mined = None
        if self.mining:
            labels, self.last_mined = self.swap(truth, self.mine(outputs, batch_inputs, metas))
        half = len(samples) // 2
        losses: dict[str, Any] = {}
        for number, view in enumerate(VIEWS):
            rows = list(range(number * half, (number + 1) * half))
            losses |= rename_loss_dict(f'{view}_', self.view_loss(outputs, rows, labels, metas, ignored))
        return losses

    def view_loss(self, outputs: tuple, rows: Sequence[int], labels: InstanceList, metas: list[dict],
                  ignored: list) -> dict[str, Any]:
        """The detector's losses on some rows of the batch of 2B."""
        return self.detector.bbox_head.loss_by_feat(
            *take_rows(outputs, rows), [labels[row] for row in rows], [metas[row] for row in rows],
            [ignored[row] for row in rows])

    def mine(self, outputs: tuple, batch_inputs: dict[str, Tensor], metas: list[dict]) -> InstanceList:
        """What each of the 2B views shows, labelled or not: ``bboxes``, ``scores`` and ``labels``."""
        return confident_detections(self.detector.bbox_head, outputs, metas, self.min_score, self.nms_iou)

    def swap(self, truth: InstanceList, found: InstanceList) -> tuple[InstanceList, MinedCounts]:
        """Labels of each of the 2B views: its own truth, and what the other view shows that isn't labelled."""
        half = len(truth) // 2
        labels, kept, labelled, confidence = [], 0, 0, 0.0
        for own, other in zip(truth, found[half:] + found[:half]):
            again = is_labelled(other, own, self.labelled_iou)
            mined = other[~again]
            labels.append(add_labels(own, mined))
            kept, labelled = kept + len(mined), labelled + len(other) - len(mined)
            confidence += float(mined.scores.sum())
        return labels, MinedCounts(len(truth), kept, labelled, confidence)


def check_head(detector: nn.Module) -> None:
    """Refuse a detector whose head can't be mined in training.

    Raises:
        UserError: see :class:`CoMining`.
    """
    head = getattr(detector, 'bbox_head', None)
    if not (hasattr(head, 'loss_by_feat') and hasattr(head, 'predict_by_feat')):
        raise UserError(f'mining labels needs a dense detector (mmleuk.YOLOv5Head, RetinaNet, FCOS), '
                        f'a {type(detector).__name__} has no bbox_head with loss_by_feat and predict_by_feat')
    if getattr(head, 'norm_on_bbox', False):
        raise UserError('mining labels needs boxes in pixels in training, too; set bbox_head.norm_on_bbox=False')


@torch.no_grad()
def confident_detections(head: Any, outputs: tuple, metas: list[dict], min_score: float,
                         nms_iou: float) -> InstanceList:
    """Detections of a dense head above a score, after non-maximum suppression per class.

    Args:
        head: mmdet's or mmleuk's dense head; everything else is as in its ``test_cfg``.
        outputs: of its forward, for B images.
        metas: B dicts with ``img_shape``.
        min_score: compared with the final score, whatever the head multiplies it from.
        nms_iou: IoU threshold of the suppression.

    Returns:
        B times ``bboxes`` (M, 4) xyxy in input pixels, ``scores`` (M,) and ``labels`` (M,).
    """
    cfg = ConfigDict(copy.deepcopy(dict(head.test_cfg)) | dict(
        score_thr=min_score, nms=dict(type='nms', iou_threshold=nms_iou)))
    found = head.predict_by_feat(*outputs, batch_img_metas=metas, cfg=cfg, rescale=False)
    return [InstanceData(bboxes=f.bboxes, scores=f.scores, labels=f.labels)[f.scores > min_score] for f in found]


def take_rows(outputs: Any, rows: Sequence[int]) -> Any:
    """Images ``rows`` of a dense head's outputs: tensors (B, ...) in lists and tuples."""
    if isinstance(outputs, Tensor):
        return outputs.index_select(0, torch.as_tensor(rows, device=outputs.device))
    if isinstance(outputs, (list, tuple)):
        return type(outputs)(take_rows(part, rows) for part in outputs)
    return outputs
