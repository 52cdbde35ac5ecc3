"""SLA-Det+: a teacher whose word counts as far as the annotated regions show that it can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.models.utils import unpack_gt_instances
from mmdet.structures import SampleList
from torch import Tensor, nn

from mmleuk.errors import UserError
from mmleuk.models.detectors.sla_det import SLADet, confident_predictions
from mmleuk.models.detectors.teacher import Teacher
from mmleuk.models.task_modules.pseudo_labels import (
    Candidates,
    Selection,
    class_entropy,
    not_labelled,
    outside_regions,
    suppress,
)
from mmleuk.models.task_modules.region_calibration import RegionCalibration
from mmleuk.models.task_modules.yolov5_assigner import BatchCells, locations_in_regions
from mmleuk.registry import MODELS
from mmleuk.structures.regions import regions_of


@MODELS.register_module()
class SLADetPlus(SLADet):
    """SLA-Det whose pseudo-labels come from the moving average of its weights and count like labels.

    In place of Eq. 6's fixed thresholds: inside the annotated regions the truth is known, so the teacher's confidence
    is measured there, per class, and its candidates outside count from where they are right often enough
    (:class:`RegionCalibration`). Three things are trusted separately: that there is a cell of this class (right at IoU
    0.5), its box (right at IoU 0.75), and that there is none (objectness under what labelled cells get). What
    is neither is left out of the loss. Labels, pseudo-labels and both kinds of background share one loss, the one that
    complete annotation would give.

    Args:
        calibration: arguments of :class:`RegionCalibration` except for ``num_classes`` and ``num_levels``.
        candidate_confidence: the teacher's candidates are collected from here on.
        nms_iou: IoU of the class-agnostic suppression among them.
        max_per_image: candidates kept per image.
        max_labelled_iou: a candidate that overlaps a labelled cell by more is that cell.
        learn_background: also learn 'no cell here' outside the regions where the teacher sees none.
        soft_objectness: at a pseudo-label's places learn the teacher's objectness, not the IoU with its box.
        others: as of :class:`SLADet`, without what belongs to its thresholds and terms.

    :class:`mmleuk.PseudoLabelHook` says from which epoch on it teaches, :class:`mmleuk.EMATeacherHook` gives the
    teacher. Ours, not the papers'; measured in docs/benchmarks.md.
    """

    def __init__(self, *, calibration: dict | None = None, candidate_confidence: float = 0.1, nms_iou: float = 0.5,
                 max_per_image: int = 300, max_labelled_iou: float = 0.5, learn_background: bool = True,
                 soft_objectness: bool = True, **kwargs: Any) -> None:
        wrong = {'selector', 'pseudo_weight', 'pseudo_mean', 'loss_triplet', 'roi_features'} & set(kwargs)
        if wrong:
            raise UserError(f'SLADetPlus takes no {", ".join(sorted(wrong))}; its pseudo-labels are calibrated')
        super().__init__(**kwargs)
        if self.bbox_head.truth != 'regions':
            raise UserError("SLADetPlus: bbox_head.truth must be 'regions', what it is sure of is measured there; got "
                            f'{self.bbox_head.truth!r}')
        self.calibration = RegionCalibration(num_classes=self.bbox_head.num_classes,
                                             num_levels=len(self.bbox_head.strides), **(calibration or {}))
        self.candidate_confidence = candidate_confidence
        self.nms_iou = nms_iou
        self.max_per_image = max_per_image
        self.max_labelled_iou = max_labelled_iou
        self.learn_background = learn_background
        self.soft_objectness = soft_objectness
        self.teacher = Teacher()

    @property
    def terms(self) -> tuple[str, ...]:
        """It has pseudo-labels, and no similarity loss."""
        return ('pseudo',)

    def set_teacher(self, module: nn.Module) -> None:
        """Take the moving average of this model as teacher."""
        self.teacher = Teacher(module)

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Losses of a batch (B, 3, H, W): the head's own, on the labels alone or with what the teacher adds."""
        if not self.activity.pseudo:
            return super().loss(batch_inputs, batch_data_samples)
        head = self.bbox_head
        logits = head.per_anchor(head(self.extract_feat(batch_inputs))[0])
        instances, ignored, metas = unpack_gt_instances(batch_data_samples)
        cells, regions = BatchCells.from_instances(instances), regions_of(metas, logits[0])
        known = head.known_background(logits, metas, ignored)
        taught = self.teacher_logits(batch_inputs)
        candidates = self.teacher_candidates(taught)
        crowds = [instances.bboxes for instances in ignored]
        # What an ignored box shows is neither right nor wrong, and no label.
        candidates = candidates.keep(outside_regions(candidates.image, candidates.boxes, crowds))
        outside = outside_regions(candidates.image, candidates.boxes, regions)
        self.calibrate(candidates.keep(~outside), cells, taught)
        right, exact = self.calibration.thresholds()
        self.last_selection = self.choose(candidates.keep(outside), cells, right)
        kept = self.last_selection.kept
        everything = labels_and_pseudo_labels(cells, kept, kept.confidence >= exact[kept.labels])
        background = self.taught_background(known, taught, crowds) if self.learn_background else known
        background = head.weigh_background(background, logits, everything)
        # The teacher learnt from labels how well its boxes fit; the IoU with its own boxes would always be high.
        vouched = [level[..., 4].sigmoid() for level in taught] if self.soft_objectness else None
        parts = head.sum_losses(logits, head.assign(everything, logits), background, vouched=vouched)
        return head.weigh(parts, batch_size=len(metas))

    @torch.no_grad()
    def teacher_logits(self, batch_inputs: Tensor) -> list[Tensor]:
        """The teacher's raw outputs per level, (B, A, H, W, 5 + C)."""
        teacher: Any = self.teacher.module
        return teacher.bbox_head.per_anchor(teacher.bbox_head(teacher.extract_feat(batch_inputs))[0])

    def teacher_candidates(self, logits: Sequence[Tensor]) -> Candidates:
        """The teacher's predictions after suppression, inside the regions and outside."""
        raw = confident_predictions(self.bbox_head, logits, self.candidate_confidence)
        return suppress(raw, self.nms_iou, self.max_per_image)

    @torch.no_grad()
    def select(self, logits: Sequence[Tensor], cells: BatchCells, regions: Sequence[Tensor]) -> Selection:
        """What these raw outputs (the teacher's) would give as pseudo-labels."""
        found = self.teacher_candidates(logits)
        outside = found.keep(outside_regions(found.image, found.boxes, regions))
        return self.choose(outside, cells, self.calibration.thresholds()[0])

    def calibrate(self, inside: Candidates, cells: BatchCells, logits: Sequence[Tensor]) -> None:
        """Hold the teacher's candidates inside the regions, and its raw outputs, against this batch's labels."""
        places = [level[a.image, a.anchor, a.row, a.column, 4].sigmoid()
                  for a, level in zip(self.bbox_head.assign(cells, logits), logits)]
        self.calibration.update(inside, cells, places)

    def choose(self, outside: Candidates, cells: BatchCells, thresholds: Tensor) -> Selection:
        """Sort candidates outside the regions by Eq. 6's criteria, with a measured threshold (C,) for its fixed one."""
        found = outside.keep(not_labelled(outside.image, outside.boxes, cells, self.max_labelled_iou))
        width, height = (found.boxes[:, 2:] - found.boxes[:, :2]).clamp(0).unbind(1)
        sure = found.confidence >= thresholds[found.labels]
        large = width * height > self.min_cell_area
        fates = dict(confidence=~sure, area=sure & ~large, kept=sure & large)
        by_criterion = {name: found.keep(mask) for name, mask in fates.items()}
        none = found.keep(torch.zeros_like(sure))
        by_criterion |= dict(unsure=none, entropy=none)
        kept = by_criterion['kept']
        return Selection(kept=kept, unsure=none, entropy=class_entropy(kept.probabilities),
                         counts={name: len(group.image) for name, group in by_criterion.items()},
                         by_criterion=by_criterion)

    def taught_background(self, known: Sequence[Tensor | None], logits: Sequence[Tensor],
                          crowds: Sequence[Tensor]) -> list[Tensor]:
        """Per level (B, A, H, W) float, 1 where 'no cell here' is annotated or the teacher is sure of it.

        Args:
            known: of :meth:`YOLOv5Head.known_background`.
            logits: the teacher's per level (B, A, H, W, 5 + C).
            crowds: per image (N, 4) ignored boxes; under them nothing is learnt.
        """
        background = []
        thresholds = self.calibration.background_thresholds()
        for level, taught, threshold, stride in zip(known, logits, thresholds, self.bbox_head.strides):
            assert level is not None  # truth is 'regions'
            sure = taught[..., 4].sigmoid() < threshold
            sure &= ~locations_in_regions(crowds, tuple(taught.shape[2:4]), stride)[:, None]
            background.append((level[:, None] | sure).float())
        return background


def labels_and_pseudo_labels(cells: BatchCells, pseudo: Candidates, exact: Tensor) -> BatchCells:
    """Labelled cells, whose boxes are exact, and pseudo-labels, whose boxes are where ``exact`` (K,) says so."""
    corner, end = pseudo.boxes[:, :2], pseudo.boxes[:, 2:]
    boxes = torch.cat([(corner + end) / 2, end - corner], 1)
    true = torch.ones_like(cells.image, dtype=torch.bool)
    return BatchCells(image=torch.cat([cells.image, pseudo.image]), label=torch.cat([cells.label, pseudo.labels]),
                      boxes=torch.cat([cells.boxes, boxes]), exact=torch.cat([true, exact]),
                      labelled=torch.cat([true, torch.zeros_like(exact)]))
