"""A concept bottleneck on crops of cells: pixels -> attributes -> class.

Legend: B images of H x W, N_b boxes of image b, N boxes in all, A attributes, V values of an attribute, K values of all
attributes together, C classes, S side of a crop in pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from mmdet.structures.bbox import bbox2roi
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmleuk.errors import UserError
from mmleuk.models.attributes.classifier import AttributeClassifier
from mmleuk.models.attributes.extractors import CropExtractor
from mmleuk.registry import MODELS
from mmleuk.schema import AttributeSchema

CONCEPT_GAIN = 10.0
"""Probabilities are multiplied by it before the class layer. Adam changes a weight by about the learning rate per
update; in a few hundred updates the weights of inputs below 1 would stay too small to separate classes."""


@dataclass(frozen=True)
class ConceptReading:
    """The bottleneck's predictions for one image's boxes.

    Args:
        attributes: (N_b, A) int64, the most probable values.
        attribute_probs: (N_b, A, Vmax) float32, zero beyond an attribute's own V.
        class_probs: (N_b, C) float32.
    """

    attributes: Tensor
    attribute_probs: Tensor
    class_probs: Tensor


@MODELS.register_module()
class ConceptBottleneck(BaseModule):
    """Predicts the attributes of a crop (the concepts), and its class only from these.

    A crop is a square around the box, from the network's input, scaled to S x S; :class:`CropExtractor` and
    :class:`AttributeClassifier` give one softmax per attribute, and a linear layer turns these K probabilities into the
    class.

    Args:
        attributes: schema: a preset's name (``leukemia``, ``wbcatt``), or ``{attribute: [value names]}``.
        num_classes: C of the data set.
        crop_size: S. All crops are scaled to one size, so only the surroundings show how large a cell is.
        context: margin on each side of the box, as a share of its longer side, >= 0.
        encoder, dropout: as of :class:`CropExtractor`.
        imbalance: as of :class:`AttributeClassifier`.
        joint: the class loss also trains the concepts. By default it doesn't (a sequential bottleneck): then a concept
            means what its annotation says, and cells without known attributes (red cells, platelets) don't change it.
            Joint training may separate classes better, through information hidden in the probabilities.
        chunk_size: crops per forward pass in prediction; it limits memory and doesn't change results.

    Source: Keser et al., CVPRW 2023, as a peer for AttriHead in LLD's Table 5. There is no official code, and neither
    its loss weights nor its colour-invariant first layer are known here; the layer is left out, since it may remove
    information in stain colours.
    """

    old_names = {'encoder.': 'extractor.encoder.', 'concepts.': 'classifier.layers.0.'}
    """Names of weights in checkpoints of earlier versions; see :func:`mmleuk.utils.checkpoint.fit_checkpoint`."""

    def __init__(self, *, attributes: str | Mapping[str, object] | AttributeSchema, num_classes: int,
                 crop_size: int = 64, context: float = 0.15, encoder: dict | None = None, dropout: float = 0.2,
                 imbalance: str = 'none', joint: bool = False, chunk_size: int = 256,
                 init_cfg: dict | list | None = None) -> None:
        super().__init__(init_cfg or dict(type='Normal', std=0.01, override=[dict(name='classifier'),
                                                                            dict(name='classes')]))
        if crop_size < 1 or context < 0:
            raise UserError(f'ConceptBottleneck: needs crop_size >= 1 and context >= 0; got {crop_size} and {context}')
        self.joint, self.chunk_size = joint, chunk_size
        self.extractor = CropExtractor(crop_size, context, encoder, dropout)
        self.classifier = AttributeClassifier(attributes, self.extractor.out_features, imbalance=imbalance,
                                              owner='ConceptBottleneck')
        self.schema = self.classifier.schema
        self.classes = nn.Linear(sum(self.schema.cardinalities), num_classes)

    def forward(self, inputs: Tensor, boxes_per_image: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Logits of concepts (N, K) and of classes (N, C), image by image.

        Args:
            inputs: (B, 3, H, W), normalised as for the detector.
            boxes_per_image: per image (N_b, 4), xyxy in input pixels.
        """
        return self._read(inputs, bbox2roi(list(boxes_per_image)))

    def _read(self, inputs: Tensor, rois: Tensor) -> tuple[Tensor, Tensor]:
        concept_logits = self.classifier(self.extractor(inputs, rois))
        return concept_logits, self.classify(torch.cat(self.classifier.probabilities(concept_logits), 1))

    def classify(self, concept_probs: Tensor) -> Tensor:
        """(N, K) probabilities, predicted or set by hand, -> (N, C) logits of classes."""
        return self.classes(CONCEPT_GAIN * (concept_probs if self.joint else concept_probs.detach()))

    def loss(self, inputs: Tensor, boxes_per_image: Sequence[Tensor], attributes_per_image: Sequence[Tensor],
             labels_per_image: Sequence[Tensor]) -> dict[str, Tensor]:
        """Cross-entropies of the attributes, over all known values, and of the classes, over all boxes.

        Args:
            inputs, boxes_per_image: as in :meth:`forward`.
            attributes_per_image: per image (N_b, A) int64, IGNORE where unknown.
            labels_per_image: per image (N_b,) int64.

        Returns:
            ``loss_attributes`` and ``loss_concept_class``; 0 with a gradient graph if nothing is known.

        Raises:
            UserError: the attributes aren't the schema's.
        """
        targets = self.classifier.checked_targets([len(labels) for labels in labels_per_image], attributes_per_image)
        labels = torch.cat(list(labels_per_image))
        concept_logits, class_logits = self(inputs, boxes_per_image)
        class_loss = F.cross_entropy(class_logits, labels, reduction='sum') / max(len(labels), 1)
        return dict(loss_attributes=self.classifier.loss(concept_logits, targets), loss_concept_class=class_loss)

    def predict(self, inputs: Tensor, boxes_per_image: Sequence[Tensor]) -> list[ConceptReading]:
        """Attributes and classes of the crops around boxes; arguments as in :meth:`forward`."""
        read = [self._read(inputs, rois) for rois in bbox2roi(list(boxes_per_image)).split(self.chunk_size)]
        concept_logits, class_logits = (torch.cat(parts) for parts in zip(*read))
        probs = self.classifier.decode(concept_logits)
        counts = [len(boxes) for boxes in boxes_per_image]
        return [ConceptReading(attributes=image.argmax(2), attribute_probs=image, class_probs=classes)
                for image, classes in zip(probs.split(counts), class_logits.float().softmax(1).split(counts))]
