"""YOLOv5's head: raw outputs, losses where truth is known, predictions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, cast

import torch
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.utils import filter_scores_and_topk
from mmdet.utils import InstanceList
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmleuk.errors import UserError
from mmleuk.models.labellers.base import DenseTargets
from mmleuk.models.losses.yolov5_loss import decode_boxes, level_losses
from mmleuk.models.task_modules.class_balance import ClassBalance
from mmleuk.models.task_modules.yolov5_assigner import (
    BatchCells,
    LevelAssignment,
    assign_level,
    location_centres,
    locations_in_regions,
)
from mmleuk.registry import MODELS
from mmleuk.structures.regions import regions_of

ANCHORS = (((10, 13), (16, 30), (33, 23)), ((30, 61), (62, 45), (59, 119)), ((116, 90), (156, 198), (373, 326)))
"""Anchors of release 6 for strides 8, 16 and 32: width and height in pixels at 640."""

Truth = Literal['everywhere', 'regions', 'regions_strict']


@MODELS.register_module()
class YOLOv5Head(BaseDenseHead):
    """Head of YOLOv5, release 6.

    Args:
        num_classes: C.
        in_channels: channels of the neck's maps.
        strides: pixels per grid unit of each level.
        anchors: per level, (width, height) in pixels.
        truth: where the annotation is complete. 'everywhere': plain YOLOv5, a location without a box is background.
            'regions': LLD's Eq. 4 as its text means it; background counts only inside the annotated regions, and
            predictions assigned to a labelled cell count everywhere. 'regions_strict': Eq. 4 to the letter;
            predictions outside the regions never count, not even a labelled cell's.
        image_size: training size in pixels; objectness gain scales with (image_size / 640)^2.
        gain_box, gain_objectness, gain_class: gains before they are scaled with levels, classes and image size.
        objectness_balance: weight of each level's objectness.
        objectness_mean: the objectness loss is summed over known locations and divided by the number of these ('known')
            or of all ('all'). With 'known', where a fifth of an image is annotated, a cell's objectness weighs five
            times as much beside its type as in plain training; with 'all' the same. LLD doesn't say; its release
            computes 'all'.
        class_balance: 0: each prediction that learns a cell weighs the same in the class loss, as in YOLOv5. 1: each
            type does, so that a rare one counts as much as red cells (:class:`ClassBalance`'s exponent).
        max_ratio: anchor ratio threshold.
        test_cfg: score_thr, nms_pre, nms, max_per_img, multi_label.

    Losses are multiplied by the batch size of a process, as YOLOv5 does (its learning rate assumes this);
    ``YOLOv5OptimWrapper`` multiplies by the number of processes, which undoes DistributedDataParallel's mean.
    Source: the published architecture and hyper-parameters of YOLOv5, release 6.
    """

    def __init__(self, *, num_classes: int, in_channels: Sequence[int], strides: Sequence[int] = (8, 16, 32),
                 anchors: Sequence[Sequence[Sequence[float]]] = ANCHORS, truth: Truth = 'everywhere',
                 image_size: int = 640, gain_box: float = 0.05, gain_objectness: float = 1.0,
                 gain_class: float = 0.5, objectness_balance: Sequence[float] = (4.0, 1.0, 0.4),
                 objectness_mean: Literal['known', 'all'] = 'known', class_balance: float = 0.0, max_ratio: float = 4.0,
                 train_cfg: dict | None = None, test_cfg: dict | None = None, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg=init_cfg)
        if truth not in ('everywhere', 'regions', 'regions_strict'):
            raise UserError(f"YOLOv5Head.truth is 'everywhere', 'regions' or 'regions_strict', got {truth!r}")
        if objectness_mean not in ('known', 'all'):
            raise UserError(f"YOLOv5Head.objectness_mean is 'known' or 'all', got {objectness_mean!r}")
        if not len(in_channels) == len(strides) == len(anchors) == len(objectness_balance):
            raise UserError('YOLOv5Head: in_channels, strides, anchors and objectness_balance differ in length: '
                            f'{len(in_channels)}, {len(strides)}, {len(anchors)}, {len(objectness_balance)}')
        self.num_classes = num_classes
        self.strides = tuple(strides)
        self.truth: Truth = truth
        self.image_size = image_size
        self.objectness_balance = tuple(objectness_balance)
        self.objectness_mean = objectness_mean
        self.balance = ClassBalance(num_classes, class_balance) if class_balance else None
        self.max_ratio = max_ratio
        self.train_cfg = train_cfg
        self.test_cfg = ConfigDict(test_cfg or {})
        self.gain_box = gain_box * 3 / len(strides)
        self.gain_class = gain_class * num_classes / 80 * 3 / len(strides)
        self.gain_objectness = gain_objectness * (image_size / 640) ** 2 * 3 / len(strides)
        self.register_buffer('anchors', torch.tensor(anchors, dtype=torch.float32), persistent=False)
        self.num_anchors = len(anchors[0])
        self.convs = nn.ModuleList(
            nn.Conv2d(channels, self.num_anchors * (5 + num_classes), 1) for channels in in_channels)

    def init_weights(self) -> None:
        """Start with about 8 objects per 640 px image and 0.6 / C per class, YOLOv5's bias initialisation."""
        super().init_weights()
        for conv, stride in zip(self.convs, self.strides):
            with torch.no_grad():
                bias = cast(Tensor, conv.bias).view(self.num_anchors, -1)
                bias[:, 4] = math.log(8 / (640 / stride) ** 2)
                bias[:, 5:] = math.log(0.6 / (self.num_classes - 0.99999))

    def forward(self, feats: Sequence[Tensor]) -> tuple[list[Tensor]]:
        """Maps (B, C_l, H_l, W_l) -> one list of raw outputs (B, A * (5 + C), H_l, W_l).

        Channels are anchor by anchor: x, y, width, height, objectness, classes.
        """
        return ([conv(feat) for conv, feat in zip(self.convs, feats)],)

    def per_anchor(self, outputs: Sequence[Tensor]) -> list[Tensor]:
        """Raw outputs as float32 (B, A, H, W, 5 + C) views."""
        return [out.float().unflatten(1, (self.num_anchors, -1)).permute(0, 1, 3, 4, 2) for out in outputs]

    # ------------------------------------------------------------------ losses

    def loss_by_feat(self, outputs: Sequence[Tensor], batch_gt_instances: InstanceList, batch_img_metas: list[dict],
                     batch_gt_instances_ignore: InstanceList | None = None,
                     dense_targets: DenseTargets | None = None) -> dict[str, Tensor]:
        """Losses on the labels: ``loss_bbox``, ``loss_obj`` and ``loss_cls``, scalars.

        Args:
            outputs: as of :meth:`forward`.
            batch_gt_instances: ``bboxes`` (N, 4) and ``labels`` (N,) in input pixels; those of a
                :class:`mmleuk.SparseLabelDetector` with ``weight``, ``teaches_box``, ``source`` and ``scores``.
            batch_img_metas: with ``annotated_regions`` (R, 4) where ``truth`` isn't 'everywhere'. Background inside
                ``counted_regions`` isn't learnt here, but it counts in the objectness's mean: another loss learns it.
            batch_gt_instances_ignore: crowds; locations under their boxes are not background. Entries may be None.
            dense_targets: from a labeller; see :class:`mmleuk.models.labellers.base.DenseTargets`.
        """
        logits = self.per_anchor(outputs)
        cells = BatchCells.from_instances(batch_gt_instances)
        crowds = crowd_boxes(batch_gt_instances_ignore, len(batch_img_metas), logits[0])
        known = self.known_background(logits, batch_img_metas, crowds)
        if dense_targets is not None and dense_targets.background is not None:
            known = self.add_background(known, dense_targets.background, crowds)
        background = self.weigh_background(known, logits, cells)
        assigned = self.assign(cells, logits)
        if self.truth == 'regions_strict':
            inside = self.known_background(logits, batch_img_metas)  # a labelled cell in a crowd still counts
            assigned = [keep_known(level, known) for level, known in zip(assigned, inside) if known is not None]
        others = self.counted_elsewhere(logits, batch_img_metas, crowds)
        soft = None if dense_targets is None else dense_targets.objectness
        weights = None if self.balance is None else self.balance(torch.cat([level.label for level in assigned]))
        parts = [level_losses(*level, over_all=self.objectness_mean == 'all', class_weights=weights) for level in zip(
            logits, assigned, background, others, [None] * len(logits) if soft is None else soft)]
        objectness = torch.stack([p.objectness * b for p, b in zip(parts, self.objectness_balance)]).sum()
        batch_size = len(batch_img_metas)
        return dict(loss_bbox=torch.stack([p.box for p in parts]).sum() * self.gain_box * batch_size,
                    loss_obj=objectness * self.gain_objectness * batch_size,
                    loss_cls=torch.stack([p.classes for p in parts]).sum() * self.gain_class * batch_size)

    def assign(self, cells: BatchCells, logits: Sequence[Tensor]) -> list[LevelAssignment]:
        """Assign cells to the predictions of every level."""
        return [assign_level(cells, anchors, stride, tuple(level.shape[2:4]), self.max_ratio)
                for anchors, stride, level in zip(self.anchors, self.strides, logits)]

    def known_background(self, logits: Sequence[Tensor], batch_img_metas: list[dict],
                         crowds: Sequence[Tensor] = ()) -> list[Tensor | None]:
        """Per level (B, H, W) bool, where 'no cell here' may be learnt; None for everywhere.

        Args:
            logits: per level (B, A, H, W, 5 + C).
            batch_img_metas: with ``annotated_regions`` where ``truth`` isn't 'everywhere'.
            crowds: per image (N, 4) boxes; no background is learnt under them.
        """
        grids = [(tuple(level.shape[2:4]), stride) for level, stride in zip(logits, self.strides)]
        crowded: list[Tensor | None] = [None] * len(grids)
        if any(len(boxes) for boxes in crowds):
            crowded = [~locations_in_regions(crowds, hw, stride) for hw, stride in grids]
        if self.truth == 'everywhere':
            return crowded
        regions = regions_of(batch_img_metas, logits[0])
        known = [locations_in_regions(regions, hw, stride) for hw, stride in grids]
        return [k if free is None else k & free for k, free in zip(known, crowded)]

    def add_background(self, known: Sequence[Tensor | None], background: Sequence[Tensor],
                       crowds: Sequence[Tensor]) -> list[Tensor | None]:
        """Per level (B, A, H, W) float, 1 where 'no cell here' is known or added; None: everywhere. Crowds get none.

        Args:
            known: from :meth:`known_background`.
            background: per level (B, A, H, W) bool, the background to add.
            crowds: per image (N, 4).
        """
        return [None if grid is None else (grid[:, None] | added & ~locations_in_regions(
            crowds, tuple(added.shape[2:4]), stride)[:, None]).float()
            for grid, added, stride in zip(known, background, self.strides)]

    def counted_elsewhere(self, logits: Sequence[Tensor], batch_img_metas: list[dict],
                          crowds: Sequence[Tensor]) -> list[Tensor | int]:
        """Per level the number of predictions in the images' ``counted_regions``, 0 if they have none."""
        if not all('counted_regions' in meta for meta in batch_img_metas):
            return [0] * len(logits)
        counted = [dict(annotated_regions=meta['counted_regions']) for meta in batch_img_metas]
        return [level[..., 4].numel() if grid is None else grid.sum() * level.shape[1]
                for level, grid in zip(logits, self.known_background(logits, counted, crowds))]

    def weigh_background(self, background: Sequence[Tensor | None], logits: Sequence[Tensor],
                         cells: BatchCells) -> Sequence[Tensor | None]:
        """Weight of 'no cell here' per level, as :func:`level_losses` takes it; here the same everywhere.

        Args:
            background: from :meth:`known_background`, or (B, A, H, W) per prediction.
            logits: per level (B, A, H, W, 5 + C).
            cells: the cells that are learnt, annotated or found.
        """
        return background

    # ------------------------------------------------------------- predictions

    def decode(self, outputs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Boxes (B, P, 4) xyxy in input pixels and probabilities (B, P, 1 + C): objectness, then classes.

        P runs over levels, then anchors, rows and columns.
        """
        logits = self.per_anchor(outputs)
        scores = [level[..., 4:].sigmoid().flatten(1, 3) for level in logits]
        return torch.cat([boxes.flatten(1, 3) for boxes in self.boxes(logits)], 1), torch.cat(scores, 1)

    def boxes(self, logits: Sequence[Tensor]) -> list[Tensor]:
        """Boxes (B, A, H, W, 4) xyxy in input pixels of every level's (B, A, H, W, 5 + C)."""
        decoded = []
        for level, anchors, stride in zip(logits, self.anchors, self.strides):
            grid = location_centres(tuple(level.shape[2:4]), stride, level.device) / stride - 0.5
            cxcywh = decode_boxes(level[..., :4], (anchors / stride)[None, :, None, None])
            centre, half = cxcywh[..., :2] + grid, cxcywh[..., 2:] / 2
            decoded.append(torch.cat([centre - half, centre + half], -1) * stride)
        return decoded

    def predict_by_feat(self, outputs: Sequence[Tensor], batch_img_metas: list[dict], cfg: ConfigDict | None = None,
                        rescale: bool = False, with_nms: bool = True) -> InstanceList:
        """Detections per image: ``bboxes`` (N, 4) xyxy, ``scores`` (N,), ``labels`` (N,), ``class_probs`` (N, C).

        A score is objectness times class probability. With ``rescale`` boxes are in pixels of the original image.
        """
        cfg = self.test_cfg if cfg is None else cfg
        results = []
        for boxes, scores, meta in zip(*self.decode(outputs), batch_img_metas):
            detections = self._bbox_post_process(
                self._detections(boxes, scores[:, :1], scores[:, 1:], cfg), cfg, rescale, with_nms, meta)
            height, width = meta['img_shape'][:2]
            scale_w, scale_h = meta['scale_factor'] if rescale else (1, 1)
            # after the suppression, as in YOLOv5: clipped boxes would overlap more
            detections.bboxes[:, 0::2].clamp_(0, width / scale_w)
            detections.bboxes[:, 1::2].clamp_(0, height / scale_h)
            results.append(detections)
        return results

    def candidates(self, outputs: Sequence[Tensor], min_score: float) -> InstanceList:
        """Every prediction of at least ``min_score`` with its class probabilities; no suppression.

        A score is at most its objectness. So one comparison over the grid finds the few predictions that are decoded.

        Args:
            outputs: as of :meth:`forward`.
            min_score: of objectness times the best class's probability.

        Returns:
            Per image ``bboxes`` (K, 4) xyxy in input pixels, not clipped, ``scores`` (K,), ``labels`` (K,) and
            ``probabilities`` (K, C).
        """
        images, found = [], []
        threshold = torch.logit(torch.tensor(min_score)).item()
        for level, anchors, stride in zip(self.per_anchor(outputs), self.anchors, self.strides):
            image, anchor, row, column = (level[..., 4] >= threshold).nonzero(as_tuple=True)
            rows = level[image, anchor, row, column]
            cxcywh = decode_boxes(rows[:, :4], anchors[anchor] / stride)
            corner = location_centres(tuple(level.shape[2:4]), stride, level.device)[row, column] / stride - 0.5
            centre, half = cxcywh[:, :2] + corner, cxcywh[:, 2:] / 2
            best, label = rows[:, 5:].sigmoid().max(1)
            images.append(image)
            found.append(InstanceData(
                bboxes=torch.cat([centre - half, centre + half], 1) * stride, scores=best * rows[:, 4].sigmoid(),
                labels=label, probabilities=rows[:, 5:].sigmoid()))
        image, everything = torch.cat(images), InstanceData.cat(found)
        enough = everything.scores >= min_score
        return [everything[enough & (image == index)] for index in range(len(outputs[0]))]

    @staticmethod
    def _detections(boxes: Tensor, objectness: Tensor, classes: Tensor, cfg: ConfigDict) -> InstanceData:
        if cfg.get('multi_label', True):
            scores, labels, index, _ = filter_scores_and_topk(objectness * classes, cfg.score_thr, cfg.nms_pre)
            return InstanceData(scores=scores, labels=labels, bboxes=boxes[index], class_probs=classes[index])
        best, label = classes.max(1, keepdim=True)
        scores, _, index, found = filter_scores_and_topk(
            objectness * best, cfg.score_thr, cfg.nms_pre, results=dict(label=label[:, 0]))
        return InstanceData(scores=scores, labels=found['label'], bboxes=boxes[index], class_probs=classes[index])


def crowd_boxes(ignored: Sequence[InstanceData | None] | None, number: int, like: Tensor) -> list[Tensor]:
    """Boxes (N, 4) of each image's crowds, of ``number`` images; none where there are no crowds."""
    return [like.new_zeros(0, 4) if crowds is None else crowds.bboxes for crowds in ignored or [None] * number]


def keep_known(assigned: LevelAssignment, known: Tensor) -> LevelAssignment:
    """Assignments at known locations (B, H, W), and all assignments of cells that aren't annotated."""
    keep = known[assigned.image, assigned.row, assigned.column]
    return assigned.keep(keep if assigned.annotated is None else keep | ~assigned.annotated)
