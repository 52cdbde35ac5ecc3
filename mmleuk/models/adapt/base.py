"""A detector that learns from the source's labels and the target's images.

Legend: B pairs of images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import torch
from mmdet.models.utils import rename_loss_dict, unpack_gt_instances
from mmdet.structures import SampleList
from mmdet.utils import InstanceList
from mmengine.structures import InstanceData
from mmengine.utils.dl_utils.parrots_wrapper import _BatchNorm
from torch import Tensor, nn

from mmleuk.datasets.source_target import SOURCE, TARGET
from mmleuk.errors import UserError
from mmleuk.models.detectors.adapters import Ignored
from mmleuk.models.detectors.sparse_label_detector import SparseLabelDetector
from mmleuk.models.labellers.base import KEPT
from mmleuk.models.losses.no_loss import no_loss, weigh


@contextmanager
def keep_statistics(model: nn.Module) -> Iterator[None]:
    """Meanwhile BatchNorm normalises as before, but its running statistics stay as they are."""
    norms: list[Any] = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    before = [norm.momentum for norm in norms]
    try:
        for norm in norms:
            norm.momentum = 0.0
        yield
    finally:
        for norm, momentum in zip(norms, before):
            norm.momentum = momentum


class SourceTargetDetector(SparseLabelDetector):
    """Base of the methods for domain adaptation: any detector, with its own loss on the source's labels.

    A batch has B labelled images of the source and B images of the target, from :class:`mmleuk.SourceTargetDataset`.
    While :class:`mmleuk.PseudoLabelHook` has switched found labels on, a method adds a loss for the target
    (:meth:`target_losses`). Regions of a sparse source are used as elsewhere: set ``bbox_head.truth='regions'``, or
    take samplers that use them. Testing is that of the detector.

    Args:
        detector: config of a detector with an adapter, as of :class:`mmleuk.SparseLabelDetector`.
        labeller: config of the labeller that chooses the target's labels.
        asks: who predicts them: 'student' or 'teacher'.
        target_weight: gain of the target's loss.
        statistics: of BatchNorm in testing. 'both': source and target update the running statistics alike, each
            batch in turn. 'target': the target's images alone do, as testing is on the target.
        data_preprocessor: overrides the detector's.

    Raises:
        UserError: the labeller needs regions, or the arguments don't fit together.
    """

    def __init__(self, detector: dict, labeller: dict, *, asks: Literal['student', 'teacher'] = 'student',
                 target_weight: float = 1.0, statistics: Literal['both', 'target'] = 'both',
                 data_preprocessor: dict | None = None, init_cfg: dict | list | None = None) -> None:
        super().__init__(detector, labeller, asks=asks, data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        if statistics not in ('both', 'target'):
            raise UserError(f"{type(self).__name__}: statistics is 'both' or 'target', got {statistics!r}")
        if self.labeller.needs_regions:
            raise UserError(f'{type(self).__name__}: a {type(self.labeller).__name__} needs annotated regions, and the '
                            'target has none; use mmleuk.ScoreLabeller')
        self.target_weight = target_weight
        self.statistics = statistics

    def set_attribute_reader(self, *args: Any) -> None:
        """Refuse :class:`mmleuk.AttriDet`: only the source's cells have attributes, and its taps see both domains."""
        raise UserError(f'mmleuk.AttriDet cannot hold a {type(self).__name__}; adapt the detector alone, and train the '
                        'attributes on the source')

    @staticmethod
    def wrap_preprocessor(each: dict, two_views: bool) -> dict:
        """The preprocessor of pairs."""
        return dict(type='mmleuk.SourceTargetDataPreprocessor', data_preprocessor=each)

    def loss(self, batch_inputs: Mapping[str, Tensor], batch_data_samples: Mapping[str, SampleList]) -> dict[str, Any]:
        """The detector's losses on the source's labels and, while they are on, the method's on the target.

        Args:
            batch_inputs: ``source`` and ``target``, each (B, 3, H, W), and perhaps ``target_strong``.
            batch_data_samples: B samples of each. Of the target's samples only the metainfo is read.

        Returns:
            The detector's losses under its own names; the target's names start with ``target_``.
        """
        truth, ignored, metas = unpack_gt_instances(batch_data_samples[SOURCE])
        outputs = self.source_outputs(batch_inputs[SOURCE])
        losses = self.label_losses(outputs, truth, metas, ignored, None)
        self.last_judged = None
        if not self.activity.pseudo:
            self.watch_target(batch_inputs[TARGET])
            return losses
        found = self.target_losses(batch_inputs, batch_data_samples, outputs)
        return losses | {name: weigh(value, self.target_weight) for name, value in
                         rename_loss_dict('target_', found).items() if 'loss' in name}

    def source_outputs(self, images: Tensor) -> tuple:
        """The adapter's outputs for the source's images (B, 3, H, W)."""
        if self.statistics == 'both':
            return self.adapter.forward(images)
        with keep_statistics(self.detector):
            return self.adapter.forward(images)

    @torch.no_grad()
    def watch_target(self, images: Tensor) -> None:
        """Update BatchNorm's statistics from the target's images (B, 3, H, W), which aren't learnt yet."""
        if self.statistics == 'target' and self.training:
            self.adapter.forward(images)

    def target_losses(self, images: Mapping[str, Tensor], samples: Mapping[str, SampleList],
                      source_outputs: tuple) -> dict[str, Any]:
        """The method's losses on the target.

        Args:
            images: as of :meth:`loss`.
            samples: as of :meth:`loss`.
            source_outputs: the adapter's, for the source's images.
        """
        raise NotImplementedError

    def losses_on(self, images: Tensor, labels: InstanceList, metas: list[dict], ignored: Ignored, *,
                  learn: bool) -> dict[str, Any]:
        """The detector's losses on images (K, 3, H, W).

        Args:
            images: made for the target; K >= 1.
            labels: per image ``bboxes`` and ``labels``.
            metas: per image.
            ignored: per image, may be None.
            learn: False: all losses are 0. They are computed all the same: some heads average over processes, and the
                others would wait.
        """
        losses = self.adapter.loss(self.adapter.forward(images), labels, metas, ignored)
        return losses if learn else {name: no_loss(self.detector) for name in losses if 'loss' in name}

    def find(self, outputs: tuple, images: Tensor, metas: list[dict], ignored: Ignored) -> InstanceList:
        """Judged predictions of each image (B, 3, H, W), as if nothing was known of it."""
        nothing = [no_cells(images) for _ in metas]
        return self.judge(outputs, images, nothing, ignored, metas)[0]

    def kept(self, judged: InstanceList) -> InstanceList:
        """Of each image the predictions that become labels."""
        return [self.labeller.group(found, KEPT) for found in judged]


def no_cells(images: Tensor, regions: Tensor | None = None) -> InstanceData:
    """Labels of an image without a known cell; background is known in ``regions`` (R, 4), by default nowhere."""
    nowhere = images.new_zeros(0, 4)
    known = nowhere if regions is None else regions
    return InstanceData(metainfo=dict(annotated_regions=known), bboxes=nowhere,
                        labels=torch.zeros(0, dtype=torch.long, device=images.device))


def known_everywhere(meta: Mapping[str, Any], images: Tensor) -> dict[str, Any]:
    """Metainfo of an image of this batch (B, 3, H, W) in which every place without a label is background."""
    height, width = images.shape[-2:]
    return dict(meta, annotated_regions=images.new_tensor([[0, 0, width, height]]))
