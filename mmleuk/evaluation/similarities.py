"""Could SLA-Det's similarity loss help? How alike labelled cells are, in the features that the loss compares.

Legend: N cells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from mmdet.structures.bbox import bbox2roi, get_box_tensor
from mmengine.config import Config
from mmengine.runner import Runner, set_random_seed
from torch import Tensor

from mmleuk.apis import load_weights
from mmleuk.errors import UserError
from mmleuk.models.losses.triplet_loss import cosine_similarity
from mmleuk.models.task_modules.roi_features import RoIFeatures
from mmleuk.utils.checkpoint import load_checkpoint_safely
from mmleuk.utils.config_file import build_model, building


@dataclass(frozen=True)
class Similarities:
    """Of each labelled cell to the other labelled cells of its batch; cells that lack one kind of partner are left out.

    Attributes:
        least_same: (N,) similarity to the least similar cell of its type: Min_Sim.
        most_other: (N,) similarity to the most similar cell of another type: Max_Sim.
        most_same: (N,) similarity to the most similar cell of its type.
        labels: (N,) int64, their types.
    """

    least_same: Tensor
    most_other: Tensor
    most_same: Tensor
    labels: Tensor

    @property
    def satisfied(self) -> float:
        """Share of cells that are more like every cell of their type than like any other: what L_Tri asks for.

        The mean over types, as red cells are the most by far; nan without any cell.
        """
        return self._mean_over_types(self.least_same > self.most_other)

    @property
    def nearest_right(self) -> float:
        """Share of cells whose most similar cell is of their type, the mean over types: what the features know."""
        return self._mean_over_types(self.most_same > self.most_other)

    def _mean_over_types(self, chosen: Tensor) -> float:
        shares = [float(chosen[self.labels == label].float().mean()) for label in self.labels.unique()]
        return fmean(shares) if shares else float('nan')


def similarities_among(features: Tensor, labels: Tensor) -> Similarities:
    """Similarities among the cells of one batch.

    Args:
        features: (N, D).
        labels: (N,) int64.

    Example:
        >>> found = similarities_among(torch.tensor([[1., 0.], [0., 1.], [1., 1.]]), torch.tensor([0, 0, 1]))
        >>> [round(value, 3) for value in found.most_other.tolist()], found.least_same.tolist()
        ([0.707, 0.707], [0.0, 0.0])
    """
    similarity = cosine_similarity(features, features)
    same = labels[:, None] == labels[None]
    partner = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    defined = partner.any(1) & (~same).any(1)
    similarity, same, partner, labels = similarity[defined], same[defined], partner[defined], labels[defined]
    if not len(similarity):
        nothing = similarity.new_zeros(0)
        return Similarities(nothing, nothing, nothing, labels)
    infinity = similarity.new_tensor(float('inf'))
    return Similarities(torch.where(partner, similarity, infinity).amin(1),
                        torch.where(same, -infinity, similarity).amax(1),
                        torch.where(partner, similarity, -infinity).amax(1), labels)


@dataclass(frozen=True)
class SeenBatch:
    """What a model makes of a batch.

    Attributes:
        model: the detector.
        maps: the neck's outputs, (B, C, H, W) each.
        early: those of the layers that an AttriHead reads; none without one.
        rois: (N, 5) image index and xyxy in input pixels, of the labelled cells.
    """

    model: Any
    maps: Sequence[Tensor]
    early: Sequence[Tensor]
    rois: Tensor


Features = Callable[[SeenBatch], Tensor]
"""Gives a batch's labelled cells as vectors (N, D)."""


def neck_features(first: int, strides: Sequence[int], points: int) -> Features:
    """The neck's maps from ``first`` (counted from 0) on, at ``points`` x ``points`` points of a box."""
    features = RoIFeatures(strides, points)
    return lambda seen: features(seen.maps[first:], seen.rois[:, 0].long(), seen.rois[:, 1:])


def attribute_features(seen: SeenBatch) -> Tensor:
    """What the AttriHead's last layer reads, from which the attributes follow linearly.

    Raises:
        UserError: the model has no AttriHead.
    """
    if not hasattr(seen.model, 'attri_head'):
        raise UserError(f'{type(seen.model).__name__} has no AttriHead; give the config of one with attributes, such '
                        'as configs/sla_det/yolov5n_sla-plus_pbc_attri.py')
    head = seen.model.attri_head
    hidden: Tensor = head.classifier.layers[:-1](head.extractor(seen.early, seen.rois))
    return hidden


@torch.no_grad()
def measure_similarities(cfg: Config, checkpoint: str | Path, kinds: Sequence[Features], batches: int,
                         seed: int = 0) -> list[Similarities]:
    """Similarities in training batches, augmented as in training, for several kinds of features.

    Args:
        cfg: config of a detector whose neck gives the maps.
        checkpoint: its weights.
        kinds: which features of a box to compare.
        batches: number of training batches.
        seed: of their order and augmentation.

    Raises:
        UserError: config, data or checkpoint can't be used, or the model lacks a kind of features.
    """
    model: Any = build_model(cfg)
    load_weights(model, load_checkpoint_safely(checkpoint, map_location='cpu'), str(checkpoint))
    model.eval()
    set_random_seed(seed)
    with building(cfg):
        loader = Runner.build_dataloader(cfg.train_dataloader, seed=seed)
    parts: list[list[Similarities]] = [[] for _ in kinds]
    for _, batch in zip(range(batches), loader):
        data = model.data_preprocessor(batch, True)
        cells = [sample.gt_instances for sample in data['data_samples']]
        seen = see_batch(model, data['inputs'], bbox2roi([get_box_tensor(each.bboxes) for each in cells]))
        labels = torch.cat([each.labels for each in cells])
        for part, features in zip(parts, kinds):
            part.append(similarities_among(features(seen), labels))
    return [Similarities(*[torch.cat([getattr(one, each.name) for one in part]) for each in fields(Similarities)])
            for part in parts]


def see_batch(model: Any, images: Tensor, rois: Tensor) -> SeenBatch:
    """What a model makes of images (B, 3, H, W) and of the cells in them, (N, 5) image index and xyxy."""
    taps = getattr(model, 'taps', None)
    with taps.open() if taps else nullcontext():
        maps = model.extract_feat(images)
        return SeenBatch(model, maps, taps.take() if taps else (), rois)
