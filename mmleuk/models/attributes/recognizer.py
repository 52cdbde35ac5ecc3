"""AttributeRecognizer: the attributes of single-cell images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmdet.models.detectors import BaseDetector
from mmdet.structures import OptSampleList, SampleList
from mmengine.structures import InstanceData
from torch import Tensor

from mmleuk.models.attributes.classifier import AttributeClassifier
from mmleuk.models.attributes.extractors import CropExtractor
from mmleuk.registry import MODELS
from mmleuk.schema import AttributeSchema


@MODELS.register_module()
class AttributeRecognizer(BaseDetector):
    """Predicts the attributes of crops of one cell each: an encoder, then :class:`AttributeClassifier`.

    The cell's type is one more attribute if the schema has it (see :class:`mmleuk.CellCropDataset`).

    Args:
        attributes, loss_binary, loss_softmax, imbalance: as of :class:`AttributeClassifier`; cross-entropy by default.
        crop_size: side of the inputs in pixels.
        hidden: widths of the classifier's hidden layers.
        encoder, dropout: as of :class:`CropExtractor`.
        domain_loss: config of a loss on the features (N, D) of the samples without a ``domain`` and those (M, D) of
            samples of another domain, such as :class:`MMDLoss`; :class:`mmleuk.UnlabelledCrops` gives such samples.
        data_preprocessor: config, as of a detector.
        extractor: replaces the one of ``encoder``; subclasses give theirs.

    Predictions are ``gt_attributes`` of each sample, with ``attributes`` (1, A) int64 and ``attribute_probs``
    (1, A, Vmax) float32: the crop is the box, so mode ``gt_boxes`` of :class:`AttributeF1Metric` scores them.
    """

    def __init__(self, attributes: str | Mapping[str, object] | AttributeSchema, *, crop_size: int,
                 hidden: tuple[int, ...] = (), encoder: dict | None = None, dropout: float = 0.2,
                 loss_binary: dict | None = None, loss_softmax: dict | None = None, imbalance: str = 'none',
                 domain_loss: dict | None = None, data_preprocessor: dict | None = None,
                 extractor: Any = None,
                 init_cfg: dict | list | None = None) -> None:
        super().__init__(data_preprocessor=data_preprocessor,
                         init_cfg=init_cfg or dict(type='Normal', std=0.01, override=dict(name='classifier')))
        self.extractor = extractor or CropExtractor(crop_size, 0.0, encoder, dropout)
        self.classifier = AttributeClassifier(attributes, self.extractor.out_features, hidden=hidden, dropout=dropout,
                                              loss_binary=loss_binary, loss_softmax=loss_softmax, imbalance=imbalance,
                                              owner='AttributeRecognizer')
        self.domain_loss = None if domain_loss is None else MODELS.build(domain_loss)
        self.schema = self.classifier.schema

    def extract_feat(self, batch_inputs: Tensor) -> Tensor:
        """Crops (B, 3, S, S) -> features (B, D)."""
        return self.extractor.read(batch_inputs)

    def features(self, batch_inputs: Tensor, batch_data_samples: OptSampleList = None) -> Tensor:
        """As :meth:`extract_feat`; subclasses use what else the samples hold."""
        return self.extract_feat(batch_inputs)

    def _forward(self, batch_inputs: Tensor, batch_data_samples: OptSampleList = None) -> Tensor:
        """Crops (B, 3, S, S) -> logits (B, K)."""
        return self.classifier(self.features(batch_inputs, batch_data_samples))

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """``loss_attributes``, the mean over the known values of all attributes, and ``loss_domain`` if there is one.

        Args:
            batch_inputs: (B, 3, S, S).
            batch_data_samples: B samples; ``gt_instances`` with attributes (1, A).

        Raises:
            UserError: a sample has another number of cells or attributes.
        """
        targets = self.classifier.checked_targets(
            [1] * len(batch_inputs), [sample.gt_instances.attributes for sample in batch_data_samples])
        features = self.features(batch_inputs, batch_data_samples)
        losses = dict(loss_attributes=self.classifier.loss(self.classifier(features), targets))
        if self.domain_loss is not None:
            other = torch.tensor([bool(sample.get('domain')) for sample in batch_data_samples], device=features.device)
            losses['loss_domain'] = self.domain_loss(features[~other], features[other])
        return losses

    @torch.no_grad()
    def predict(self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True) -> SampleList:
        """The samples with ``gt_attributes``; there are no boxes to rescale."""
        logits = self._forward(batch_inputs, batch_data_samples)
        for sample, probs in zip(batch_data_samples, self.classifier.decode(logits).split(1)):
            sample.gt_attributes = InstanceData(attributes=probs.argmax(2), attribute_probs=probs)
        return batch_data_samples
