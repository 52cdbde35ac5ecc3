"""PostHocCBM: a concept bottleneck beside a trained detector (Keser et al., CVPRW 2023; CBM in LLD's Table 5)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmdet.models.detectors import BaseDetector
from mmdet.structures import DetDataSample, OptSampleList, SampleList
from mmengine.structures import InstanceData
from torch import Tensor

from mmleuk.errors import UserError
from mmleuk.models.attributes.classifier import described_rows
from mmleuk.models.attributes.concept_bottleneck import ConceptReading
from mmleuk.models.detectors.attri_det import (
    are_described,
    described_cells,
    ground_truth_boxes,
    kept_boxes,
    write_attributes,
)
from mmleuk.registry import MODELS
from mmleuk.schema import IGNORE
from mmleuk.utils.checkpoint import load_weights

NO_CLASS = -1
"""``cbm_labels`` of a detection with a score below ``min_score``."""


@MODELS.register_module()
class PostHocCBM(BaseDetector):
    """Holds a trained detector, which stays unchanged, and learns a concept bottleneck on crops of cells.

    Training uses crops around ground-truth boxes; the detector doesn't run. In testing the detector's boxes, classes
    and scores are its own, and the bottleneck adds its attributes and its own class.

    Args:
        detector: config of any detector. Its ``data_preprocessor`` becomes this model's.
        bottleneck: config of a :class:`ConceptBottleneck`.
        detector_checkpoint: the detector's trained weights, read when a training starts. This model's own checkpoints
            hold them, so testing doesn't need the file.
        max_cells: cells per image and iteration; those with a known attribute first, the others at random.
        jitter: a crop is shifted along each axis and scaled by up to this share of its box, in training.
        min_score: detections below it keep unknown attributes, ``cbm_labels`` of -1 and no disagreement.
        on_ground_truth: as of :class:`AttriDet`.
        data_preprocessor: overrides the detector's.

    Predictions carry ``attributes`` and ``attribute_probs`` as AttriDet's do. ``cbm_labels`` (N,) int64 and
    ``cbm_scores`` (N,) float32 are the bottleneck's own class. ``disagrees`` (N,) bool marks boxes where this class
    isn't the detector's: a monitor of false detections. Attributes of classes that aren't described are unknown, as in
    AttriDet.
    """

    dataset_meta: Mapping[str, Any] | None = None

    def __init__(self, detector: dict, bottleneck: dict, *, detector_checkpoint: str | None = None, max_cells: int = 4,
                 jitter: float = 0.1, min_score: float = 0.0, on_ground_truth: bool = False,
                 data_preprocessor: dict | None = None, init_cfg: dict | list | None = None) -> None:
        if max_cells < 1 or not 0 <= jitter < 1:
            raise UserError(f'PostHocCBM: needs max_cells >= 1 and 0 <= jitter < 1, got {max_cells} and {jitter}')
        detector = copy.deepcopy(detector)
        own = detector.pop('data_preprocessor', None)
        super().__init__(data_preprocessor=data_preprocessor or own, init_cfg=init_cfg)
        self.detector = MODELS.build(detector).requires_grad_(False).eval()
        self.bottleneck = MODELS.build(bottleneck)
        self.detector_checkpoint, self.max_cells, self.jitter = detector_checkpoint, max_cells, jitter
        self.min_score, self.on_ground_truth = min_score, on_ground_truth

    def init_weights(self) -> None:
        """The checkpoint's weights for the detector, random ones for the bottleneck.

        Raises:
            UserError: no checkpoint is given, the file doesn't exist, or it is of another detector.
        """
        path = self.detector_checkpoint
        if path is None or not Path(path).expanduser().is_file():
            raise UserError(f'model.detector_checkpoint is {path!r}, which is no file; train the plain detector first '
                            'and give its checkpoint: PostHocCBM reads the boxes of a trained detector')
        load_weights(self.detector, path)
        self.detector.is_init = True  # otherwise the line below would replace its weights
        super().init_weights()

    def train(self, mode: bool = True) -> PostHocCBM:
        """Switch only the bottleneck; the detector stays in evaluation mode."""
        super().train(mode)
        self.detector.eval()
        return self

    def extract_feat(self, batch_inputs: Tensor) -> tuple[Tensor, ...]:
        """The detector's own features of images (B, 3, H, W)."""
        return self.detector.extract_feat(batch_inputs)

    def _forward(self, batch_inputs: Tensor, batch_data_samples: OptSampleList = None) -> tuple:
        """The detector's raw outputs for images (B, 3, H, W)."""
        return self.detector._forward(batch_inputs, batch_data_samples)

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """The bottleneck's losses on crops around ground-truth boxes; see :meth:`ConceptBottleneck.loss`.

        Args:
            batch_inputs: (B, 3, H, W).
            batch_data_samples: B samples; ``gt_instances`` with bboxes (N, 4) in input pixels, labels (N,) and
                attributes (N, A).

        Raises:
            UserError: the samples carry no attributes, or not the schema's number of them.
        """
        boxes, attributes, labels = zip(*[self._choose(sample, batch_inputs) for sample in batch_data_samples])
        return self.bottleneck.loss(batch_inputs, boxes, attributes, labels)

    def _choose(self, sample: DetDataSample, batch_inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Up to ``max_cells`` cells of a training image: jittered boxes (M, 4), attributes (M, A), labels (M,)."""
        boxes, attributes = described_cells(sample, batch_inputs)
        chosen = choose_cells(attributes, self.max_cells)
        return jitter_boxes(boxes[chosen], self.jitter), attributes[chosen], sample.gt_instances.labels[chosen]

    @torch.no_grad()
    def predict(self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True) -> SampleList:
        """The detector's predictions with the bottleneck's attributes and class of each box.

        Args:
            batch_inputs: (B, 3, H, W).
            batch_data_samples: B samples; ground truth isn't needed.
            rescale: give boxes in pixels of the original image instead of the input.
        """
        samples = self.detector.predict(batch_inputs, batch_data_samples, rescale=rescale)
        kept = [sample.pred_instances.scores >= self.min_score for sample in samples]
        boxes = kept_boxes(samples, kept, batch_inputs, rescale)
        for sample, keep, reading in zip(samples, kept, self.bottleneck.predict(batch_inputs, boxes)):
            _write_reading(sample.pred_instances, keep, reading)
            undescribed = ~are_described(sample.pred_instances, self.dataset_meta)
            sample.pred_instances.attributes[undescribed] = IGNORE
            sample.pred_instances.attribute_probs[undescribed] = 0
        true_boxes = ground_truth_boxes(samples, batch_inputs) if self.on_ground_truth else None
        if true_boxes is not None:
            for sample, reading in zip(samples, self.bottleneck.predict(batch_inputs, true_boxes)):
                sample.gt_attributes = InstanceData(attributes=reading.attributes,
                                                    attribute_probs=reading.attribute_probs)
        return samples


def choose_cells(attributes: Tensor, max_cells: int) -> Tensor:
    """Indices of up to ``max_cells`` of N cells: cells with a known attribute first, otherwise in random order.

    Args:
        attributes: (N, A) int64, IGNORE where unknown.
        max_cells: at least 1.

    Returns:
        (M,) int64.

    >>> choose_cells(torch.tensor([[IGNORE], [1], [IGNORE], [0]]), 2).sort().values.tolist()
    [1, 3]
    """
    order = torch.rand(len(attributes), device=attributes.device) - described_rows(attributes).float()
    return order.argsort()[:max_cells]


def jitter_boxes(boxes_xyxy: Tensor, share: float) -> Tensor:
    """Shift boxes (N, 4) along each axis and scale them, by up to ``share`` of their sides."""
    draws = (2 * torch.rand(len(boxes_xyxy), 3).to(boxes_xyxy) - 1) * share
    sizes = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    centres = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2 + draws[:, :2] * sizes
    halves = sizes * (1 + draws[:, 2:]) / 2
    return torch.cat([centres - halves, centres + halves], 1)


def _write_reading(instances: InstanceData, keep: Tensor, reading: ConceptReading) -> None:
    """Write the bottleneck's reading into the K kept of N instances; the others stay unknown."""
    write_attributes(instances, keep, reading.attributes, reading.attribute_probs)
    labels = torch.full_like(instances.labels, NO_CLASS)
    scores = torch.zeros_like(instances.scores)
    highest = reading.class_probs.max(1)
    labels[keep], scores[keep] = highest.indices, highest.values
    instances.cbm_labels, instances.cbm_scores = labels, scores
    instances.disagrees = keep & (labels != instances.labels)
