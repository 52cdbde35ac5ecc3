"""Predictions and losses of each family of detectors, from features that are computed once.

Legend: B images, K predictions, C classes, P locations or proposals. An adapter's ``outputs`` are nested lists and
tuples of tensors whose first axis is B.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from mmdet.models.detectors import BaseDetector
from mmdet.structures import DetDataSample
from mmdet.utils import InstanceList
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor

from mmleuk.errors import UserError
from mmleuk.models.dense_heads.sparse_region_heads import SparseRegionFCOSHead
from mmleuk.models.dense_heads.yolov5_head import YOLOv5Head
from mmleuk.models.labellers.base import DenseObjectness, DenseTargets, Request, suppress, with_area
from mmleuk.models.task_modules.sparse_region_sampler import SparseRegionSampler
from mmleuk.models.task_modules.yolov5_assigner import BatchCells

Ignored = Sequence[InstanceData | None]


class Adapter:
    """What :class:`mmleuk.SparseLabelDetector` needs of a detector's family.

    A new family is a subclass whose :meth:`fits` recognises its detectors; add it to :data:`ADAPTERS`.

    Args:
        detector: the wrapped detector.

    Attributes:
        weighs_labels: its loss uses ``weight`` and ``teaches_box`` of each label. Other losses treat a label as
            annotated if its weight is at least 0.5 and its box is learnt; they ignore the area of other labels.
    """

    weighs_labels = False

    def __init__(self, detector: BaseDetector) -> None:
        self.detector: Any = detector

    @classmethod
    def fits(cls, detector: BaseDetector) -> bool:
        """Whether the detector is of this family."""
        raise NotImplementedError

    @property
    def uses_regions(self) -> bool:
        """Whether the detector's loss takes no background from outside the annotated regions."""
        raise NotImplementedError

    @property
    def uses_ignored(self) -> bool:
        """Whether it takes no background from under ignored boxes; parts that use regions also use these."""
        return self.uses_regions

    def forward(self, images: Tensor) -> tuple:
        """Features and raw outputs of images (B, 3, H, W); the first entry is the pyramid."""
        raise NotImplementedError

    def predict(self, outputs: tuple, metas: list[dict], request: Request) -> InstanceList:
        """Per image ``bboxes`` (K, 4) xyxy in input pixels, ``scores`` and ``labels`` (K,), as the request asks."""
        raise NotImplementedError

    def find(self, outputs: tuple, metas: list[dict], request: Request) -> InstanceList:
        """:meth:`predict` in float32, since mixed precision rounds boxes; those without an area are left out."""
        with torch.autocast(outputs[0][0].device.type, enabled=False):
            return [with_area(found) for found in self.predict(in_float32(outputs), metas, request)]

    def loss(self, outputs: tuple, labels: InstanceList, metas: list[dict], ignored: Ignored,
             dense_targets: DenseTargets | None = None) -> dict[str, Any]:
        """The detector's own losses on labels."""
        raise NotImplementedError

    def dense_objectness(self, outputs: tuple, truth: InstanceList) -> DenseObjectness | None:
        """Objectness of every location in these outputs; None if the head has no objectness."""
        return None


class DenseAdapter(Adapter):
    """Heads with ``loss_by_feat`` and ``predict_by_feat``: RetinaNet, FCOS and similar detectors."""

    @classmethod
    def fits(cls, detector: BaseDetector) -> bool:
        """One head over all locations, whose outputs mean the same in training and testing."""
        head = getattr(detector, 'bbox_head', None)
        if not all(hasattr(head, name) for name in ('loss_by_feat', 'predict_by_feat', 'prior_generator')):
            return False
        if getattr(head, 'norm_on_bbox', False):
            raise UserError('SparseLabelDetector needs boxes in pixels in training as well; set '
                            'bbox_head.norm_on_bbox=False')
        return True

    @property
    def uses_regions(self) -> bool:
        """True if its head or its sampler does so."""
        head = self.detector.bbox_head
        return isinstance(head, SparseRegionFCOSHead) or isinstance(getattr(head, 'sampler', None), SparseRegionSampler)

    def forward(self, images: Tensor) -> tuple:
        """Pyramid, and the head's outputs."""
        feats = self.detector.extract_feat(images)
        return feats, self.detector.bbox_head(feats)

    def predict(self, outputs: tuple, metas: list[dict], request: Request) -> InstanceList:
        """The head's detections; or one per location, collected from its detections of single classes."""
        head = self.detector.bbox_head
        cfg = ConfigDict(copy.deepcopy(dict(head.test_cfg)), nms=dict(type='nms', iou_threshold=request.nms_iou))
        if not request.class_agnostic:
            cfg.update(score_thr=request.min_score, max_per_img=request.max_per_image or cfg.max_per_img)
            found = head.predict_by_feat(*outputs[1], batch_img_metas=metas, cfg=cfg, rescale=False)
            return [InstanceData(bboxes=f.bboxes, scores=f.scores, labels=f.labels)[f.scores > request.min_score]
                    for f in found]
        cfg.score_thr = min(cfg.score_thr, request.min_score / head.num_classes)
        found = head.predict_by_feat(*outputs[1], batch_img_metas=metas, cfg=cfg, rescale=False, with_nms=False)
        return [best_per_location(one_per_location(f, head.num_classes), request) for f in found]

    def loss(self, outputs: tuple, labels: InstanceList, metas: list[dict], ignored: Ignored,
             dense_targets: DenseTargets | None = None) -> dict[str, Any]:
        """The head's losses."""
        return self.detector.bbox_head.loss_by_feat(*outputs[1], labels, metas, ignored)


class YOLOv5Adapter(DenseAdapter):
    """YOLOv5: labels have weights, and every location has an objectness."""

    weighs_labels = True

    @classmethod
    def fits(cls, detector: BaseDetector) -> bool:
        """A detector with a :class:`mmleuk.YOLOv5Head`."""
        return isinstance(getattr(detector, 'bbox_head', None), YOLOv5Head)

    @property
    def uses_regions(self) -> bool:
        """True unless the head has ``truth='everywhere'``."""
        return self.detector.bbox_head.truth != 'everywhere'

    @property
    def uses_ignored(self) -> bool:
        """Always."""
        return True

    def predict(self, outputs: tuple, metas: list[dict], request: Request) -> InstanceList:
        """The head's detections; or one per location, and only those above the threshold are decoded."""
        if not request.class_agnostic:
            return super().predict(outputs, metas, request)
        return [best_per_location(found, request)
                for found in self.detector.bbox_head.candidates(outputs[1][0], request.min_score)]

    def loss(self, outputs: tuple, labels: InstanceList, metas: list[dict], ignored: Ignored,
             dense_targets: DenseTargets | None = None) -> dict[str, Any]:
        """The head's losses, with a labeller's extra targets."""
        return self.detector.bbox_head.loss_by_feat(*outputs[1], labels, metas, ignored, dense_targets=dense_targets)

    def dense_objectness(self, outputs: tuple, truth: InstanceList) -> DenseObjectness:
        """Objectness of every location, and at labelled cells."""
        head = self.detector.bbox_head
        logits = head.per_anchor(outputs[1][0])
        objectness = [level[..., 4].sigmoid() for level in logits]
        assigned = head.assign(BatchCells.from_instances(truth), logits)
        at_cells = [level[a.image, a.anchor, a.row, a.column] for level, a in zip(objectness, assigned)]
        return DenseObjectness(objectness, at_cells)


class TwoStageAdapter(Adapter):
    """RPN and RoI head: Faster R-CNN and similar detectors. The outputs are the first stage's features."""

    @classmethod
    def fits(cls, detector: BaseDetector) -> bool:
        """A region proposal network, and a RoI head with one box head."""
        return bool(getattr(detector, 'with_rpn', False)) and hasattr(
            detector.rpn_head, 'loss_and_predict') and hasattr(getattr(detector, 'roi_head', None), 'predict_bbox')

    @property
    def uses_regions(self) -> bool:
        """True if the samplers of both stages do so."""
        rois = getattr(self.detector.roi_head, 'bbox_sampler', None)
        return all(isinstance(sampler, SparseRegionSampler) for sampler in (
            self.detector.rpn_head.sampler, *(rois if isinstance(rois, (list, tuple)) else [rois])))

    def forward(self, images: Tensor) -> tuple:
        """The pyramid."""
        return (self.detector.extract_feat(images),)

    def predict(self, outputs: tuple, metas: list[dict], request: Request) -> InstanceList:
        """Detections from the RPN's test proposals; or one prediction per proposal; or the proposals."""
        detector = self.detector
        samples = [DetDataSample(metainfo=meta) for meta in metas]
        proposals = detector.rpn_head.predict(outputs[0], samples, rescale=False)
        if request.proposals:
            return [best_per_location(p[p.scores >= request.min_score], request) for p in proposals]
        if not request.class_agnostic:
            cfg = ConfigDict(copy.deepcopy(dict(detector.test_cfg.rcnn)), score_thr=request.min_score,
                             nms=dict(type='nms', iou_threshold=request.nms_iou))
            cfg.max_per_img = request.max_per_image or cfg.max_per_img
            return detector.roi_head.predict_bbox(outputs[0], metas, proposals, cfg)
        raw = detector.roi_head.predict_bbox(outputs[0], metas, proposals, None)
        return [best_per_location(best_classes(r), request) for r in raw]

    def loss(self, outputs: tuple, labels: InstanceList, metas: list[dict], ignored: Ignored,
             dense_targets: DenseTargets | None = None) -> dict[str, Any]:
        """Both stages' losses, under the names that MMDetection's TwoStageDetector gives them."""
        detector = self.detector
        samples = [DetDataSample(metainfo=meta, gt_instances=cells, **({} if crowd is None else dict(
            ignored_instances=crowd))) for meta, cells, crowd in zip(metas, labels, ignored)]
        foreground = [sample.new() for sample in samples]
        for sample in foreground:
            sample.gt_instances = sample.gt_instances[:]
            sample.gt_instances.labels = torch.zeros_like(sample.gt_instances.labels)
        found, proposals = detector.rpn_head.loss_and_predict(
            outputs[0], foreground, proposal_cfg=detector.train_cfg.get('rpn_proposal', detector.test_cfg.rpn))
        losses = {name if 'rpn' in name else f'rpn_{name}': value for name, value in found.items()}
        return losses | detector.roi_head.loss(outputs[0], proposals, samples)


ADAPTERS: tuple[type[Adapter], ...] = (YOLOv5Adapter, DenseAdapter, TwoStageAdapter)
"""Families, tried in this order."""


def adapt(detector: BaseDetector) -> Adapter:
    """The adapter of a detector.

    Raises:
        UserError: no family in :data:`ADAPTERS` fits.
    """
    for kind in ADAPTERS:
        if kind.fits(detector):
            return kind(detector)
    raise UserError(f'a {type(detector).__name__} cannot learn from found labels: it needs a dense bbox_head '
                    '(mmleuk.YOLOv5Head, RetinaNet, FCOS), or an RPN and a RoI head (Faster R-CNN). For another '
                    'family add an adapter to mmleuk.models.detectors.adapters')


def one_per_location(found: InstanceData, num_classes: int) -> InstanceData:
    """Collect detections of single classes (K,) by location: detections with identical boxes share a location.

    Returns:
        ``bboxes`` (P, 4), ``probabilities`` (P, C), 0 for classes that weren't detected, and ``scores`` and ``labels``
        (P,) of the best class.
    """
    boxes, location = torch.unique(found.bboxes, dim=0, return_inverse=True)
    probabilities = found.scores.new_zeros(len(boxes), num_classes)
    probabilities[location, found.labels] = found.scores
    best, labels = probabilities.max(1)
    return InstanceData(bboxes=boxes, scores=best, labels=labels, probabilities=probabilities)


def best_classes(raw: InstanceData) -> InstanceData:
    """The best class of each proposal, of a RoI head's ``bboxes`` (P, 4 or 4 C) and ``scores`` (P, C + 1)."""
    probabilities = raw.scores[:, :-1]
    best, labels = probabilities.max(1)
    boxes = raw.bboxes.view(len(labels), -1, 4)
    boxes = boxes[torch.arange(len(labels)), labels.clamp(max=boxes.shape[1] - 1)]
    return InstanceData(bboxes=boxes, scores=best, labels=labels, probabilities=probabilities)


def best_per_location(found: InstanceData, request: Request) -> InstanceData:
    """One image's predictions with at least the requested score, after suppression across classes."""
    return suppress(found[found.scores >= request.min_score], request.nms_iou, request.max_per_image)


def take_rows(outputs: Any, rows: Sequence[int]) -> Any:
    """Select the images ``rows`` from outputs: tensors (B, ...) in lists and tuples."""
    if isinstance(outputs, Tensor):
        return outputs.index_select(0, torch.as_tensor(rows, device=outputs.device))
    if isinstance(outputs, (list, tuple)):
        return type(outputs)(take_rows(part, rows) for part in outputs)
    return outputs


def in_float32(outputs: Any) -> Any:
    """The same outputs, tensors in lists and tuples, as float32."""
    if isinstance(outputs, Tensor):
        return outputs.float()
    if isinstance(outputs, (list, tuple)):
        return type(outputs)(in_float32(part) for part in outputs)
    return outputs
