"""SLA-Det: a detector trained on sparsely annotated images (LLD 4.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from mmdet.models.detectors import SingleStageDetector
from mmdet.models.utils import unpack_gt_instances
from mmdet.structures import SampleList
from torch import Tensor

from mmleuk.errors import UserError
from mmleuk.models.dense_heads.yolov5_head import YOLOv5Head, regions_of
from mmleuk.models.losses.yolov5_loss import decode_boxes
from mmleuk.models.task_modules.pseudo_labels import Candidates, Selection
from mmleuk.models.task_modules.roi_features import RoIFeatures
from mmleuk.models.task_modules.yolov5_assigner import BatchCells, location_centres
from mmleuk.registry import MODELS, TASK_UTILS


@dataclass
class Activity:
    """Which terms are active; :class:`mmleuk.PseudoLabelHook` switches them by epoch."""

    pseudo: bool = False
    triplet: bool = False


@MODELS.register_module()
class SLADet(SingleStageDetector):
    """Single-stage detector with SLA-Det's terms: labelled regions, pseudo-labels, similarity.

    Each term switches on by config alone: L_LR by the head's ``truth='regions'`` (Eq. 4), L_PL by ``pseudo_weight`` > 0
    (Eq. 7), L_Tri by ``loss_triplet`` (Eq. 11). When they run is up to :class:`mmleuk.PseudoLabelHook`.

    Args:
        selector: config of a :class:`mmleuk.PseudoLabelSelector`; needed by the pseudo-label and similarity terms.
        pseudo_weight: gain of L_PL, 0.1 in the paper (5.2); 0 switches it off.
        pseudo_mean: what L_PL's objectness is divided by. 'own': its predictions alone, so that all pseudo-labels
            together weigh the same, be they one or a thousand. 'shared': also the places that L_LR's mean counts, so
            that a pseudo-label's objectness weighs ``pseudo_weight`` times a labelled cell's. Box and class losses are
            means over the pseudo-labels either way.
        loss_triplet: config of a :class:`mmleuk.TripletLoss`; None switches L_Tri off.
        roi_features: arguments of :class:`RoIFeatures`.
        others: as of mmdet's SingleStageDetector; ``bbox_head`` is a :class:`mmleuk.YOLOv5Head`.

    Source: LLD 4.3 and 5.2, Eq. 4 to 12.
    """

    def __init__(self, *, selector: dict | None = None, pseudo_weight: float = 0.0,
                 pseudo_mean: Literal['own', 'shared'] = 'own', loss_triplet: dict | None = None,
                 roi_features: dict | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if (pseudo_weight or loss_triplet) and selector is None:
            raise UserError('SLADet: pseudo_weight and loss_triplet need '
                            'selector=dict(type="mmleuk.PseudoLabelSelector")')
        if pseudo_mean not in ('own', 'shared'):
            raise UserError(f"SLADet.pseudo_mean is 'own' or 'shared', got {pseudo_mean!r}")
        self.selector: Any = TASK_UTILS.build(selector) if selector else None
        self.pseudo_weight = pseudo_weight
        self.pseudo_mean = pseudo_mean
        self.loss_triplet: Any = MODELS.build(loss_triplet) if loss_triplet else None
        self.roi_features: Any = RoIFeatures(**(roi_features or {})) if loss_triplet else None
        self.activity = Activity()
        self.last_selection: Selection | None = None
        # The smallest cell of the training set, in square input pixels; the hook measures it at the start.
        self.min_cell_area = 0.0

    @property
    def terms(self) -> tuple[str, ...]:
        """Names in :class:`Activity` of the terms that it has and somebody must wake."""
        return ('pseudo',) * (self.pseudo_weight > 0) + ('triplet',) * (self.loss_triplet is not None)

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Losses of a batch of images (B, 3, H, W): the head's own, then those of the active terms."""
        feats = self.extract_feat(batch_inputs)
        outputs = self.bbox_head(feats)[0]
        instances, ignored, metas = unpack_gt_instances(batch_data_samples)
        losses = self.bbox_head.loss_by_feat(outputs, instances, metas, ignored)
        self.last_selection = None
        wants_pseudo = self.activity.pseudo and 'pseudo' in self.terms
        wants_triplet = self.activity.triplet and 'triplet' in self.terms
        if wants_pseudo or wants_triplet:
            logits = self.bbox_head.per_anchor(outputs)
            cells = BatchCells.from_instances(instances)
            # What an ignored box shows is no news either: it is left out like what is annotated.
            settled = [torch.cat([regions, boxes.bboxes]) for regions, boxes in
                       zip(regions_of(metas, logits[0]), ignored)]
            selection = self.select(logits, cells, settled)
            if wants_pseudo:
                known = self.bbox_head.known_background(logits, metas, ignored)
                losses.update(self.pseudo_losses(logits, selection.kept, known))
            if wants_triplet:
                losses['loss_triplet'] = self.similarity_loss(feats, selection.unsure, cells)
            self.last_selection = selection
        return losses

    @torch.no_grad()
    def select(self, logits: Sequence[Tensor], cells: BatchCells, regions: Sequence[Tensor]) -> Selection:
        """Pseudo-labels and unsure predictions of the batch, from the model's own predictions."""
        raw = confident_predictions(self.bbox_head, logits, self.selector.candidate_confidence)
        return self.selector.select(self.selector.candidates(raw, regions, cells), self.min_cell_area)

    def pseudo_losses(self, logits: Sequence[Tensor], pseudo: Candidates,
                      known: Sequence[Tensor | None]) -> dict[str, Tensor]:
        """L_PL (Eq. 7): they say where a cell is, never where none is, so no background takes part.

        Args:
            logits: per level (B, A, H, W, 5 + C).
            pseudo: the pseudo-labels.
            known: per level (B, H, W) bool, where L_LR learns background; None for everywhere.
        """
        centre = (pseudo.boxes[:, :2] + pseudo.boxes[:, 2:]) / 2
        boxes = torch.cat([centre, pseudo.boxes[:, 2:] - pseudo.boxes[:, :2]], 1)
        cells = BatchCells(image=pseudo.image, label=pseudo.labels, boxes=boxes)
        nowhere = [torch.zeros_like(level[:, 0, ..., 0], dtype=torch.bool) for level in logits]
        others = None
        if self.pseudo_mean == 'shared':
            others = [level[..., 4].numel() if places is None else places.sum() * level.shape[1]
                      for level, places in zip(logits, known)]
        parts = self.bbox_head.sum_losses(logits, self.bbox_head.assign(cells, logits), nowhere, others)
        weighed = self.bbox_head.weigh(parts, batch_size=len(logits[0]))
        return {name.replace('loss_', 'loss_pseudo_'): self.pseudo_weight * value for name, value in weighed.items()}

    def similarity_loss(self, feats: Sequence[Tensor], unsure: Candidates, cells: BatchCells) -> Tensor:
        """L_Tri (Eq. 8 to 11) between unsure predictions and the batch's labelled cells."""
        if not len(unsure.image):
            return feats[0][:0].sum()
        features = self.roi_features(feats, torch.cat([unsure.image, cells.image]),
                                     torch.cat([unsure.boxes, cells.boxes_xyxy]))
        of_unsure, of_cells = features.split([len(unsure.image), len(cells.image)])
        return self.loss_triplet(of_unsure, unsure.labels, of_cells, cells.label)


def confident_predictions(head: YOLOv5Head, logits: Sequence[Tensor], min_confidence: float) -> Candidates:
    """Predictions of at least ``min_confidence``, decoded alone.

    Objectness bounds confidence from above, so one comparison over the grid finds the few that need decoding: the
    cost hardly depends on how much the model believes.

    Args:
        logits: per level (B, A, H, W, 5 + C).
    """
    found = []
    threshold = torch.logit(torch.tensor(min_confidence)).item()
    for level, anchors, stride in zip(logits, head.anchors, head.strides):
        image, anchor, row, column = (level[..., 4] >= threshold).nonzero(as_tuple=True)
        rows = level[image, anchor, row, column]
        cxcywh = decode_boxes(rows[:, :4], anchors[anchor] / stride)
        corner = location_centres(tuple(level.shape[2:4]), stride, level.device)[row, column] / stride - 0.5
        centre, half = cxcywh[:, :2] + corner, cxcywh[:, 2:] / 2
        boxes = torch.cat([centre - half, centre + half], 1) * stride
        probabilities = rows[:, 5:].sigmoid()
        found.append(Candidates(image=image, boxes=boxes, probabilities=probabilities,
                                confidence=probabilities.amax(1) * rows[:, 4].sigmoid()))
    merged = Candidates(**{name: torch.cat([getattr(f, name) for f in found]) for name in vars(found[0])})
    return merged.keep(merged.confidence >= min_confidence)
