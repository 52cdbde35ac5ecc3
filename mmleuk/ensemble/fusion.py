"""Weighted Boxes Fusion of one image, by Leukocyte's rule, with attributes.

MMDetection's ``weighted_boxes_fusion`` (Solovyev et al. 2021) fuses the boxes. Within a class it takes the
highest-scoring box first. A box joins the fused box with the largest IoU if that is above a threshold; otherwise it
starts a new one. A fused box is the mean of its members, weighted by their confidences. This module adds the
attributes and says which detections are members of which fused box.

Legend: T models, N detections of one model, D of all, M fused cells, A attributes, V values of the attribute with most.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from mmcv.ops import batched_nms
from mmdet.models.utils import weighted_boxes_fusion
from mmdet.models.utils.wbf import find_matching_box_fast, get_weighted_box, prefilter_boxes
from numpy.typing import NDArray
from torch import Tensor

from mmleuk.errors import UserError

_FAINTEST = 1e-30
"""MMDetection adds up confidence times pixels in float32. Lower confidences become 0 there, so they are left out."""


def check_fraction(name: str, value: float) -> None:
    """Raise a UserError for a number outside 0 to 1."""
    if not 0 <= value <= 1:
        raise UserError(f'{name} is {value}; it must lie between 0 and 1')


@dataclass(frozen=True)
class Detected:
    """Detections of one model in one image.

    Args:
        boxes_xyxy: (N, 4) pixels.
        scores: (N,) confidences, 0 to 1.
        labels: (N,) integers; all models number the classes in the same way.
        attribute_probs: (N, A, V) probability of each value, zero beyond an attribute's own V; a row of zeros where the
            attribute is unknown. None for a model without attributes.
    """

    boxes_xyxy: Tensor
    scores: Tensor
    labels: Tensor
    attribute_probs: Tensor | None = None

    def __post_init__(self) -> None:
        n = len(self.scores)
        probs = self.attribute_probs
        if (self.boxes_xyxy.shape != (n, 4) or self.scores.shape != (n,) or self.labels.shape != (n,)
                or probs is not None and (probs.ndim != 3 or len(probs) != n)):
            raise UserError(f'boxes of shape {tuple(self.boxes_xyxy.shape)}, scores {tuple(self.scores.shape)} and '
                            f'labels {tuple(self.labels.shape)}, attributes '
                            f'{None if probs is None else tuple(probs.shape)}; expected (N, 4), (N,), (N,) and '
                            '(N, A, V) or None')
        if not (torch.isfinite(self.boxes_xyxy).all() and (self.boxes_xyxy[:, :2] <= self.boxes_xyxy[:, 2:]).all()):
            raise UserError('a box is not finite or ends before it begins; boxes are x1, y1, x2, y2')
        if not ((self.scores >= 0) & (self.scores <= 1)).all():  # false for NaN, too
            raise UserError('a score lies outside 0 to 1')


@dataclass(frozen=True)
class Fused:
    """Fused cells of one image, the highest-scoring first.

    Args:
        boxes_xyxy: (M, 4) float32 pixels.
        scores: (M,) float32, the sum of the members' confidences over T. Above 1 only where a model has several boxes
            in one cluster, which the paper doesn't foresee.
        labels: (M,) int64.
        attribute_probs: (M, A, V) float64, rows of zeros where no member knew the attribute; None where no model has
            attributes.
        members: per cell (k, 2) int64 model and row of the detections that it was fused from, the highest-scoring
            first; empty unless requested or needed.
    """

    boxes_xyxy: Tensor
    scores: Tensor
    labels: Tensor
    attribute_probs: Tensor | None = None
    members: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class FusionSettings:
    """How to fuse.

    Args:
        iou_thr: a box joins a fused box of its class when their IoU is above this. The WBF paper's 0.55; Leukocyte
            doesn't say.
        skip_box_thr: detections with a lower confidence are left out before anything else.
        weights: one per model, above 0; only their ratios matter. None gives all models the same weight.
        nms_thr: where boxes of one model and one class overlap by a larger IoU, only the highest-scoring one takes
            part. The paper assumes that a cluster has at most one box per model. A model whose own suppression allows
            more overlap than ``iou_thr`` (YOLOv5's 0.65) votes twice for some cells. None keeps all boxes.
    """

    iou_thr: float = 0.55
    skip_box_thr: float = 0.0
    weights: tuple[float, ...] | None = None
    nms_thr: float | None = None

    def __post_init__(self) -> None:
        check_fraction('iou_thr', self.iou_thr)
        check_fraction('skip_box_thr', self.skip_box_thr)
        if self.nms_thr is not None:
            check_fraction('nms_thr', self.nms_thr)
        if self.weights is not None:
            object.__setattr__(self, 'weights', tuple(float(weight) for weight in self.weights))
            if not all(weight > 0 and math.isfinite(weight) for weight in self.weights or ()):
                raise UserError(f'weights are {self.weights}; each must be above 0. Leave out a model that is not to '
                                'count')

    def weights_of(self, n_models: int) -> NDArray[np.float64]:
        """(T,) weights with a mean of 1.

        Raises:
            UserError: there is another number of them.
        """
        if self.weights is None:
            return np.ones(n_models)
        if len(self.weights) != n_models:
            raise UserError(f'{len(self.weights)} weights for {n_models} models; give one for each, in their order')
        weights = np.array(self.weights)
        return weights * (n_models / weights.sum())


def fuse(found: Sequence[Detected], settings: FusionSettings | None = None, with_members: bool = False) -> Fused:
    """Fuse the detections of one image.

    With confidences C of the members of a cluster, and weights w of their models (1 unless given)::

        box = sum(w C box) / sum(w C),    score = sum(w C) / sum of the weights of all T models

    so a model that found nothing lowers the score (Leukocyte: "averaged over the number of models rather than the
    number of predictions"). MMDetection's ``conf_type='avg'`` gives this with ``allows_overflow=True``. Its default
    multiplies by min(T, k)/k, which differs where one model has several boxes in a cluster of k. A fused attribute is::

        P(value) = sum(w C P_i(value)) / sum(w C)    over the members that know the attribute

    The order of the models doesn't matter, unless two detections have the same score: MMDetection doesn't define their
    order. Boxes without an area and detections with a confidence of 0 are left out: they have no weight.

    Args:
        found: one per model, also for models that found nothing; at least one.
        settings: by default IoU above 0.55 and equal weights.
        with_members: return the members of each cell also where there are no attributes.

    Raises:
        UserError: no model, another number of weights, or models whose attributes have other shapes.

    Example:
        >>> one = Detected(torch.tensor([[0., 0., 10., 10.]]), torch.tensor([0.9]), torch.tensor([1]))
        >>> two = Detected(torch.tensor([[0., 0., 12., 10.]]), torch.tensor([0.3]), torch.tensor([1]))
        >>> fused = fuse([one, two])
        >>> fused.boxes_xyxy.tolist(), round(float(fused.scores[0]), 3)
        ([[0.0, 0.0, 10.5, 10.0]], 0.6)
    """
    settings = settings or FusionSettings()
    if not found:
        raise UserError('there is no model to fuse')
    weights = settings.weights_of(len(found))
    kept = [_that_count(one, weight, settings.nms_thr) for one, weight in zip(found, weights)]
    lists = [_to_lists(one, rows) for one, rows in zip(found, kept)]
    boxes, scores, labels = weighted_boxes_fusion(
        *([one[part] for one in lists] for part in range(3)), weights=weights, iou_thr=settings.iou_thr,
        skip_box_thr=settings.skip_box_thr, conf_type='avg', allows_overflow=True)
    fused = Fused(boxes.reshape(-1, 4), scores, labels.long())
    shape = _attribute_shape(found)
    if shape is None and not with_members:
        return fused
    origin = torch.cat([torch.stack([torch.full_like(rows, model), rows], 1) for model, rows in enumerate(kept)])
    clusters = _clusters(lists, weights, settings, fused)
    members = tuple(origin[cluster] for cluster in clusters)
    probs = None if shape is None else torch.zeros(len(members), *shape, dtype=torch.float64)
    if probs is not None:
        for row, own in zip(probs, members):
            row.copy_(fuse_attributes(*_votes(found, weights, own, probs.shape[1:])))
    return Fused(fused.boxes_xyxy, fused.scores, fused.labels, probs, members)


def fuse_attributes(probs: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of the members' probabilities; a member that doesn't know an attribute doesn't count for it.

    Args:
        probs: (k, A, V); rows of zeros where unknown.
        weights: (k,) above 0.

    Returns:
        (A, V); rows of zeros where no member knows the attribute.

    Example:
        >>> probs = torch.tensor([[[0.8, 0.2], [0., 0.]], [[0.4, 0.6], [0., 0.]]])
        >>> fuse_attributes(probs, torch.tensor([3., 1.]))
        tensor([[0.7000, 0.3000],
                [0.0000, 0.0000]])
    """
    votes = weights[:, None] * (probs.sum(2) > 0)  # (k, A)
    total = votes.sum(0)[:, None]
    return (votes[:, :, None] * probs).sum(0) / torch.where(total > 0, total, 1)


def _that_count(one: Detected, weight: float, nms_thr: float | None) -> Tensor:
    """Rows whose box has an area, whose confidence isn't negligible, and which no higher-scoring box suppresses."""
    sides = one.boxes_xyxy[:, 2:].double() - one.boxes_xyxy[:, :2].double()
    rows = torch.nonzero((sides.prod(1) > 0) & (one.scores.double() * weight >= _FAINTEST)).flatten()
    if nms_thr is not None and len(rows):
        _, best = batched_nms(one.boxes_xyxy[rows].float(), one.scores[rows].float(), one.labels[rows],
                              dict(type='nms', iou_threshold=nms_thr))
        rows = rows[best.sort().values]
    return rows.cpu()


def _to_lists(one: Detected, rows: Tensor) -> tuple[list, list, list]:
    return one.boxes_xyxy.cpu()[rows].tolist(), one.scores.cpu()[rows].tolist(), one.labels.cpu()[rows].tolist()


def _attribute_shape(found: Sequence[Detected]) -> tuple[int, int] | None:
    """(A, V) of the models that have attributes."""
    all_probs = [one.attribute_probs for one in found if one.attribute_probs is not None]
    shapes = {(probs.shape[1], probs.shape[2]) for probs in all_probs}
    if len(shapes) > 1:
        raise UserError(f'the models have attributes of shapes {sorted(shapes)}; bring them to one schema first, with '
                        'rows of zeros for what a model does not know')
    return next(iter(shapes), None)


def _votes(found: Sequence[Detected], weights: NDArray, members: Tensor, shape: Sequence[int]
           ) -> tuple[Tensor, Tensor]:
    """(k, A, V) probabilities and (k,) weights of the members of one cluster."""
    probs = torch.zeros(len(members), *shape, dtype=torch.float64)
    votes = torch.zeros(len(members), dtype=torch.float64)
    for index, (model, row) in enumerate(members.tolist()):
        votes[index] = weights[model] * float(found[model].scores[row])
        own = found[model].attribute_probs
        if own is not None:
            probs[index] = own[row]
    return probs, votes


def _clusters(lists: Sequence[tuple[list, list, list]], weights: NDArray, settings: FusionSettings, fused: Fused
              ) -> list[Tensor]:
    """The members of each fused box, which MMDetection doesn't return.

    Repeats MMDetection's steps with its own functions. Every detection counts as a separate model here, so the model
    number of a row is the index of its detection.

    Args:
        lists: boxes, scores and labels of each model.
        weights: (T,) of the models.
        settings: of the fusion.
        fused: the fused boxes.

    Returns:
        Per fused box (k,) int64 indices into the detections of all models, the highest-scoring first.
    """
    columns = [[[value] for one in lists for value in one[part]] for part in range(3)]
    of_each = np.repeat(weights, [len(one[1]) for one in lists])
    rows: list[NDArray] = []
    members: list[list[NDArray]] = []
    for own in prefilter_boxes(*columns, of_each, settings.skip_box_thr).values():
        boxes, joined = np.empty((0, 8)), []
        for row in own:
            index, _ = find_matching_box_fast(boxes, row, settings.iou_thr)
            if index == -1:
                boxes = np.vstack((boxes, row))
                joined.append([row])
            else:
                joined[index].append(row)
                boxes[index] = get_weighted_box(joined[index])
        rows += list(boxes)
        members += joined
    # Label, score and box: exactly those of the fused boxes, in another order.
    table = np.array([[row[0], row[1] * len(own) / weights.sum(), *row[4:]] for row, own in zip(rows, members)],
                     np.float32).reshape(-1, 6)
    wanted = torch.cat([fused.labels[:, None].float(), fused.scores[:, None], fused.boxes_xyxy], 1).numpy()
    here, there = np.lexsort(table.T), np.lexsort(wanted.T)
    assert np.array_equal(table[here], wanted[there]), "the repeated steps differ from MMDetection's fusion"
    clusters: list[Tensor] = [torch.empty(0)] * len(wanted)
    for source, target in zip(here, there):
        clusters[target] = torch.tensor([int(row[3]) for row in members[source]])
    return clusters
