"""Could SLA-Det's similarity loss help? How alike labelled cells are, in the features that the loss compares.

Legend: N cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from mmdet.structures.bbox import get_box_tensor
from mmengine.config import Config
from mmengine.runner import Runner, set_random_seed
from torch import Tensor

from mmleuk.apis import load_weights
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


@torch.no_grad()
def measure_similarities(cfg: Config, checkpoint: str | Path, kinds: Sequence[tuple[int, RoIFeatures]], batches: int,
                         seed: int = 0) -> list[Similarities]:
    """Similarities in training batches, augmented as in training, for several kinds of features.

    Args:
        cfg: config of a detector whose neck gives the maps.
        checkpoint: its weights.
        kinds: which features of a box to compare: the neck's first map that is used, counted from 0, and how.
        batches: number of training batches.
        seed: of their order and augmentation.

    Raises:
        UserError: config, data or checkpoint can't be used.
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
        maps = model.extract_feat(data['inputs'])
        cells = [sample.gt_instances for sample in data['data_samples']]
        boxes = torch.cat([get_box_tensor(each.bboxes) for each in cells])
        labels = torch.cat([each.labels for each in cells])
        image = torch.arange(len(cells)).repeat_interleave(torch.tensor([len(each) for each in cells]))
        for part, (first, features) in zip(parts, kinds):
            part.append(similarities_among(features(maps[first:], image, boxes), labels))
    return [Similarities(*[torch.cat([getattr(one, each.name) for one in part]) for each in fields(Similarities)])
            for part in parts]
