"""AttriDet: any MMDetection detector that also predicts the attributes of its cells (LLD 4.2)."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmdet.models.detectors import BaseDetector
from mmdet.structures import DetDataSample, OptSampleList, SampleList
from mmdet.structures.bbox import bbox_flip, get_box_tensor, scale_boxes
from mmengine.structures import InstanceData
from torch import Tensor

from mmleuk.errors import UserError
from mmleuk.models.data_preprocessors.two_views import VIEWS, join_views
from mmleuk.models.detectors.feature_taps import FeatureTaps, probe_features
from mmleuk.models.detectors.tiled import TiledDetector
from mmleuk.registry import MODELS
from mmleuk.schema import IGNORE
from mmleuk.structures.regions import clip_boxes


@MODELS.register_module()
class AttriDet(BaseDetector):
    """Wraps a detector and predicts the attributes of its boxes with an AttriHead.

    The head's feature maps are captured while the detector runs its own forward pass. So nothing runs twice, the
    detector's losses and boxes don't change, and one-stage, two-stage and query-based detectors all work.

    Args:
        detector: config of any detector. Its data preprocessor becomes this model's.
        attri_head: config of a :class:`AttriHead`; ``in_channels`` and ``featmap_strides`` are measured on the
            detector if they are left out.
        feature_layers: early submodules of the detector whose outputs the head gets: ``backbone.stage1`` and
            ``backbone.stage2`` of YOLOv5, ``backbone.layer1`` and ``backbone.layer2`` of a ResNet, ``backbone[0]``
            for the first output of a backbone.
        loss_weight: factor of the head's loss (Eq. 3 has 1).
        min_score: detections below it keep unknown attributes (IGNORE, probabilities 0). It saves
            time in an evaluation with hundreds of low-scoring boxes per image; mAP doesn't change.
        on_ground_truth: in testing, add ``gt_attributes`` where the batch's samples have ground-truth boxes: the
            attributes predicted for these boxes, for :class:`AttributeF1Metric`'s mode ``gt_boxes``. They come from the
            same forward pass, and detections stay as they are.
        data_preprocessor: overrides the detector's.

    Predictions carry ``attributes`` (N, A) int64 and ``attribute_probs`` (N, A, Vmax) float32 beside boxes, labels and
    scores. Where ``dataset_meta``, which inference sets from the checkpoint, says which classes are described, cells of
    the others keep unknown attributes: a red cell has none.
    """

    dataset_meta: Mapping[str, Any] | None = None

    def __init__(self, detector: dict, attri_head: dict, feature_layers: Sequence[str], *, loss_weight: float = 1.0,
                 min_score: float = 0.0, on_ground_truth: bool = False, data_preprocessor: dict | None = None,
                 init_cfg: dict | list | None = None) -> None:
        built = MODELS.build(copy.deepcopy(detector))
        if isinstance(getattr(built, 'detector', built), TiledDetector):
            raise UserError('AttriDet: a mmleuk.TiledDetector sees an image tile by tile, so attributes would be read '
                            "in the last tile's maps; wrap a detector of whole images, or take mmleuk.PostHocCBM")
        super().__init__(data_preprocessor=data_preprocessor or built.data_preprocessor, init_cfg=init_cfg)
        self.detector = built
        # in a SparseLabelDetector the layers are those of its detector
        self.taps = FeatureTaps(getattr(self.detector, 'detector', self.detector), feature_layers)
        self.attri_head = MODELS.build(self._with_measures(attri_head))
        self.loss_weight, self.min_score, self.on_ground_truth = loss_weight, min_score, on_ground_truth
        if hasattr(self.detector, 'set_attribute_reader'):
            self.detector.set_attribute_reader(self.read_boxes, self.attri_head.schema)

    def _with_measures(self, attri_head: dict) -> dict:
        if 'in_channels' in attri_head and 'featmap_strides' in attri_head:
            return attri_head
        channels, strides = probe_features(self.detector, self.taps)
        return dict(in_channels=channels, featmap_strides=strides) | dict(attri_head)

    def extract_feat(self, batch_inputs: Tensor) -> tuple[Tensor, ...]:
        """The detector's own features of images (B, 3, H, W)."""
        return self.detector.extract_feat(batch_inputs)

    def _forward(self, batch_inputs: Tensor, batch_data_samples: OptSampleList = None) -> tuple:
        """The detector's raw outputs for images (B, 3, H, W)."""
        with self.taps.open():
            return self.detector._forward(batch_inputs, batch_data_samples)

    def loss(self, batch_inputs: Any, batch_data_samples: Any) -> dict[str, Tensor]:
        """The detector's losses and ``loss_attributes``, on ground-truth boxes.

        Args:
            batch_inputs: (B, 3, H, W).
            batch_data_samples: B samples; ``gt_instances`` with bboxes (N, 4) in input pixels and attributes (N, A).
                Where the detector learns from two views, both arguments are dicts of them, and the attributes of both
                are learnt.

        Raises:
            UserError: the samples have no attributes, or another number than the schema.
        """
        seen = batch_inputs if isinstance(batch_inputs, Tensor) else batch_inputs[VIEWS[0]]  # all views have one size
        boxes, attributes = zip(*[described_cells(sample, seen) for sample in join_views(batch_data_samples)])
        with self.taps.open():
            losses = self.detector.loss(batch_inputs, batch_data_samples)
            features = self.taps.take()
        for name, value in self.attri_head.loss(features, boxes, attributes).items():
            losses[name] = self.loss_weight * value
        return losses

    @torch.no_grad()
    def predict(self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True) -> SampleList:
        """The detector's predictions with the attributes of each box.

        Args:
            batch_inputs: (B, 3, H, W).
            batch_data_samples: B samples; ground truth isn't needed.
            rescale: give boxes in pixels of the original image instead of the input.
        """
        with self.taps.open():
            samples = self.detector.predict(batch_inputs, batch_data_samples, rescale=rescale)
            features = self.taps.take()
        kept = [(found.scores >= self.min_score) & are_described(found, self.dataset_meta)
                for found in (sample.pred_instances for sample in samples)]
        boxes = kept_boxes(samples, kept, batch_inputs, rescale)
        for sample, keep, found in zip(samples, kept, self.attri_head.predict(features, boxes)):
            write_attributes(sample.pred_instances, keep, *found)
        if self.on_ground_truth:
            self._predict_on_ground_truth(batch_inputs, samples, features)
        return samples

    @torch.no_grad()
    def read_boxes(self, boxes_per_image: Sequence[Tensor], batch_inputs: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Attributes of boxes in the detector's last forward pass; training still gets its maps.

        Args:
            boxes_per_image: per image (K, 4), xyxy in input pixels.
            batch_inputs: the images (B, 3, H, W) of that pass.

        Returns:
            Per image what :meth:`AttriHead.predict` gives; in training, too, without dropout.
        """
        boxes = [boxes_to_align(boxes_xyxy, batch_inputs) for boxes_xyxy in boxes_per_image]
        was_training = self.attri_head.training
        try:
            return self.attri_head.eval().predict(self.taps.look(), boxes)
        finally:
            self.attri_head.train(was_training)

    def _predict_on_ground_truth(self, batch_inputs: Tensor, samples: SampleList, features: Sequence[Tensor]) -> None:
        """Add ``gt_attributes``, row for row with ``gt_instances``, to the batch's samples that have ground truth."""
        boxes = ground_truth_boxes(samples, batch_inputs)
        if boxes is None:
            return
        for sample, (values, probabilities) in zip(samples, self.attri_head.predict(features, boxes)):
            sample.gt_attributes = InstanceData(attributes=values, attribute_probs=probabilities)


def boxes_to_align(boxes_xyxy: Tensor, batch_inputs: Tensor) -> Tensor:
    """Boxes (N, 4) cut at the borders of the inputs (B, C, H, W), with x2 >= x1 and y2 >= y1: RoIAlign needs that."""
    height, width = batch_inputs.shape[-2:]
    low, high = clip_boxes(boxes_xyxy, (height, width)).split(2, 1)
    return torch.cat([low, high.maximum(low)], 1)


def input_boxes(sample: DetDataSample, boxes_xyxy: Tensor, batch_inputs: Tensor, original: bool) -> Tensor:
    """Boxes (N, 4) of one sample in input pixels; with ``original`` they come in pixels of the original image."""
    if original:
        boxes_xyxy = scale_boxes(boxes_xyxy, sample.scale_factor)
    return boxes_to_align(boxes_xyxy, batch_inputs)


def described_cells(sample: DetDataSample, batch_inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes (N, 4) in input pixels and attributes (N, A) of a training image's cells.

    Raises:
        UserError: they have no attributes.
    """
    cells = sample.gt_instances
    if 'attributes' not in cells:
        raise UserError(f'{sample.get("img_path", "a training image")}: its cells have no attributes; end the '
                        'training pipeline with mmleuk.PackCells and use a data set with attributes')
    return boxes_to_align(get_box_tensor(cells.bboxes), batch_inputs), cells.attributes


def are_described(instances: InstanceData, dataset_meta: Mapping[str, Any] | None) -> Tensor:
    """(N,) bool: detections of a class whose cells have attributes; all if the data set isn't known or names none.

    Args:
        instances: with ``labels`` (N,).
        dataset_meta: a data set's metainfo; ``described`` names some of its ``classes``.
    """
    if not dataset_meta or 'described' not in dataset_meta:
        return torch.ones_like(instances.labels, dtype=torch.bool)
    labels = [list(dataset_meta['classes']).index(name) for name in dataset_meta['described']]
    return torch.isin(instances.labels, instances.labels.new_tensor(labels))


def kept_boxes(samples: SampleList, kept: Sequence[Tensor], batch_inputs: Tensor, original: bool) -> list[Tensor]:
    """Boxes (K, 4) in input pixels of the predictions that are kept, (N,) bool per sample.

    With ``original`` predictions come in pixels of the original image.
    """
    return [input_boxes(sample, sample.pred_instances.bboxes[keep], batch_inputs, original)
            for sample, keep in zip(samples, kept)]


def ground_truth_boxes(samples: SampleList, batch_inputs: Tensor) -> list[Tensor] | None:
    """In testing, the true boxes (N, 4) of each sample in input pixels; None if a sample has none.

    They come in pixels of the original image, also where a view of test-time augmentation is flipped.
    """
    if not all('gt_instances' in sample and 'bboxes' in sample.gt_instances for sample in samples):
        return None
    return [input_boxes(sample, _flipped(sample, get_box_tensor(sample.gt_instances.bboxes).to(batch_inputs)),
                        batch_inputs, True) for sample in samples]


def _flipped(sample: DetDataSample, boxes_xyxy: Tensor) -> Tensor:
    """Boxes (N, 4) in original pixels, mirrored as the sample's image is."""
    if not sample.get('flip'):
        return boxes_xyxy
    return bbox_flip(boxes_xyxy, sample.ori_shape, sample.flip_direction)


def write_attributes(instances: InstanceData, keep: Tensor, values: Tensor, probabilities: Tensor) -> None:
    """Write values (K, A) and probabilities (K, A, V) into the K kept of N instances; the others stay unknown."""
    attributes = values.new_full((len(keep), values.shape[1]), IGNORE)
    attribute_probs = probabilities.new_zeros(len(keep), *probabilities.shape[1:])
    attributes[keep], attribute_probs[keep] = values, probabilities
    instances.attributes, instances.attribute_probs = attributes, attribute_probs
