"""ConfMix: the most confident quarter of a target's image, pasted on a source's image."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from mmdet.models.utils import unpack_gt_instances
from mmdet.structures import SampleList
from mmengine.logging import MessageHub
from mmengine.structures import InstanceData
from torch import Tensor

from mmleuk.datasets.source_target import SOURCE, TARGET
from mmleuk.models.adapt.base import SourceTargetDetector
from mmleuk.models.adapt.mixing import (
    best_quarter,
    check_one_size,
    cut_away,
    large_enough,
    mix_labels,
    paste_quarter,
    quarter_window,
    regions_without,
)
from mmleuk.models.losses.no_loss import weigh
from mmleuk.registry import MODELS
from mmleuk.structures.regions import regions_of


def strictness(progress: float, steepness: float = 5.0) -> float:
    """delta = 2 / (1 + exp(-5 r)) - 1 of the training's progress r in [0, 1]: 0 at its start, 0.987 at its end.

    >>> [round(strictness(r), 3) for r in (0.0, 0.5, 1.0)]
    [0.0, 0.848, 0.987]

    Source: ConfMix (WACV 2023, arXiv 2210.11539).
    """
    return 2 / (1 + math.exp(-steepness * progress)) - 1


@MODELS.register_module()
class ConfMix(SourceTargetDetector):
    """ConfMix: training images whose one quarter comes from the target.

    1. The student predicts on the target's and on the source's image. A detection's score is its objectness times
       its class's probability. With :class:`mmleuk.GaussianYOLOv5Head` the objectness is multiplied by 1 - delta *
       (mean uncertainty of the box), where delta grows during training (:func:`strictness`).
    2. The target's quarter whose detections have the highest mean score is pasted on the source's image, at
       the same place.
    3. Labels are the target's detections in the quarter and the source's detections outside, clipped at its border.
    4. The loss of the mixed images is weighted by gamma, the share of these labels with a score above ``sure_score``.

    Other heads than :class:`mmleuk.GaussianYOLOv5Head` have no uncertainty: their score alone counts.

    Args:
        detector: config of the detector; the original's is YOLOv5s with uncertainties.
        labeller: default :class:`mmleuk.ScoreLabeller` with scores above 0.25.
        sure_score: of gamma.
        others: as of :class:`SourceTargetDetector`.

    It starts from a detector trained on the source (``load_from``). A target's image without a detection is left
    out. With a sparse source, mixed images are known in the source's regions and in the pasted quarter.

    Source: ConfMix (WACV 2023, arXiv 2210.11539), written from its description; docs/fidelity.md lists the
    differences.
    """

    def __init__(self, detector: dict, labeller: dict | None = None, *, sure_score: float = 0.5,
                 **kwargs: Any) -> None:
        super().__init__(detector, labeller or dict(type='mmleuk.ScoreLabeller', min_score=0.25), asks='student',
                         **kwargs)
        self.sure_score = sure_score

    def target_losses(self, images: Mapping[str, Tensor], samples: Mapping[str, SampleList],
                      source_outputs: tuple) -> dict[str, Any]:
        """The detector's losses on mixed images, times gamma.

        Raises:
            UserError: the source's images have another size than the target's.
        """
        check_one_size(images[SOURCE], images[TARGET])
        _, crowds, metas = unpack_gt_instances(samples[SOURCE])
        target_metas = [sample.metainfo for sample in samples[TARGET]]
        with torch.no_grad(), self.uncertainty():
            of_target = self.find(self.adapter.forward(images[TARGET]), images[TARGET], target_metas,
                                  [None] * len(metas))
            of_source = self.find(source_outputs, images[SOURCE], metas, crowds)
        self.last_judged = of_target
        source, target = self.kept(of_source), self.kept(of_target)
        image_hw = images[SOURCE].shape[-2:]
        quarters = [best_quarter(found.bboxes, found.scores, image_hw) for found in target]
        rows = [(row, quarter) for row, quarter in enumerate(quarters) if quarter is not None]
        taken = rows or [(0, 0)]
        mixed = torch.stack([paste_quarter(images[SOURCE][row], images[TARGET][row], quarter)
                             for row, quarter in taken])
        labels = [mix_labels(source[row], target[row], quarter, image_hw) for row, quarter in taken]
        scores = torch.cat([found.scores for found in labels])
        gamma = float((scores > self.sure_score).float().mean()) if len(scores) else 0.0
        where = [self.mixed_meta(metas[row], quarter, images[SOURCE]) for row, quarter in taken]
        left = [crowds_without(crowds[row], quarter, image_hw) for row, quarter in taken]
        losses = self.losses_on(mixed, [as_labels(*each) for each in zip(labels, where, left)], where, left,
                                learn=bool(rows))
        return {name: weigh(value, gamma) for name, value in losses.items() if 'loss' in name}

    @staticmethod
    def mixed_meta(meta: Mapping[str, Any], quarter: int, images: Tensor) -> dict[str, Any]:
        """The source's metainfo; the mixed image is also known in the pasted quarter, and filled to its border."""
        meta = dict(meta, img_shape=tuple(images.shape[-2:]))
        if 'annotated_regions' not in meta:
            return meta
        window = quarter_window(quarter, images.shape[-2:])
        regions, = regions_of([meta], images)
        return dict(meta, annotated_regions=torch.cat([regions_without(regions, window),
                                                       regions.new_tensor([window])]))

    @contextmanager
    def uncertainty(self) -> Iterator[None]:
        """Meanwhile uncertain boxes have lower scores, if the head knows how uncertain they are."""
        head: Any = getattr(self.detector, 'bbox_head', None)
        if not hasattr(head, 'uncertainty_weight'):
            yield
            return
        hub = MessageHub.get_current_instance()
        head.uncertainty_weight = strictness(hub.get_info('iter', 0) / max(hub.get_info('max_iters', 1), 1))
        try:
            yield
        finally:
            head.uncertainty_weight = 0.0


def crowds_without(crowds: InstanceData | None, quarter: int, image_hw: Sequence[int]) -> InstanceData | None:
    """The source's ignored cells (``bboxes``, ``labels``) where the pasted quarter doesn't cover them."""
    if crowds is None:
        return None
    boxes = cut_away(crowds.bboxes, quarter_window(quarter, image_hw))
    return InstanceData(bboxes=boxes, labels=crowds.labels)[large_enough(boxes, 1.0)]


def as_labels(found: InstanceData, meta: Mapping[str, Any], crowds: InstanceData | None = None) -> InstanceData:
    """Found cells as the detector's loss takes annotated ones: ``bboxes``, ``labels`` and what is known."""
    known = {key: meta[key] for key in ('annotated_regions',) if key in meta}
    if crowds is not None:
        known['ignored_boxes'] = crowds.bboxes
    return InstanceData(metainfo=known, bboxes=found.bboxes, labels=found.labels)
