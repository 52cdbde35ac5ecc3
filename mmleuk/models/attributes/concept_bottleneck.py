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
from mmleuk.models.attributes.roi_align import roi_align
from mmleuk.models.losses.asymmetric_loss import known_cross_entropy
from mmleuk.registry import MODELS
from mmleuk.schema import AttributeSchema, resolve_schema

NARROW_RESNET = dict(
    type='mmdet.ResNet', depth=18, base_channels=32, num_stages=4, out_indices=(3,), frozen_stages=-1, norm_eval=False,
    norm_cfg=dict(type='GN', num_groups=8))
"""Half of ResNet-18's width. Group normalisation: how one crop is read doesn't depend on the other crops."""

CONCEPT_GAIN = 10.0
"""Probabilities are multiplied by it before the class layer. Adam moves a weight by about the learning rate per update,
and within some hundred of them weights on numbers below 1 couldn't grow enough to tell classes apart."""


@dataclass(frozen=True)
class ConceptReading:
    """What the bottleneck says of one image's boxes.

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
    """Reads the attributes of a crop (the concepts), and its class from these alone.

    A crop is a square around the box, from the network's input, scaled to S x S; a small encoder and a linear layer
    give one softmax per attribute, and a linear layer on these K probabilities gives the class.

    Args:
        attributes: schema: a preset's name (``leukemia``, ``wbcatt``), or ``{attribute: [value names]}``.
        num_classes: C, as many as the data have.
        crop_size: S. All cells come at one size: how large a cell is shows only beside its neighbours.
        context: margin on each side of the box, as a share of its longer side, >= 0.
        encoder: config of a backbone whose last output is pooled; by default :data:`NARROW_RESNET`.
        dropout: probability between encoder and concepts.
        joint: let the class loss teach the concepts, too. By default it stops at them (a sequential bottleneck): a
            concept then means what its annotation says, and cells of which no attribute is known (red cells, platelets)
            don't bend it. Training jointly may tell classes better, by signals hidden in the probabilities.
        chunk_size: crops looked at together in prediction; it bounds memory, not results.

    Source: Keser et al., CVPRW 2023, as a peer for AttriHead in LLD's Table 5. There is no official code, and neither
    its loss weights nor its colour-invariant first layer are known here; the layer is left out, since it may erase
    what stain colours tell.
    """

    def __init__(self, *, attributes: str | Mapping[str, object] | AttributeSchema, num_classes: int,
                 crop_size: int = 64, context: float = 0.15, encoder: dict | None = None, dropout: float = 0.2,
                 joint: bool = False, chunk_size: int = 256, init_cfg: dict | list | None = None) -> None:
        super().__init__(init_cfg or dict(type='Normal', layer='Linear', std=0.01))
        self.schema = resolve_schema(attributes)
        if not len(self.schema) or crop_size < 1 or context < 0:
            raise UserError('ConceptBottleneck: needs at least one attribute, crop_size >= 1 and context >= 0; got '
                            f'{len(self.schema)}, {crop_size} and {context}')
        self.crop_size, self.context, self.joint, self.chunk_size = crop_size, context, joint, chunk_size
        self.encoder = MODELS.build(encoder or NARROW_RESNET)
        self.dropout = nn.Dropout(dropout)
        self.concepts = nn.Linear(_width(self.encoder, crop_size), sum(self.schema.cardinalities))
        self.classes = nn.Linear(sum(self.schema.cardinalities), num_classes)

    def forward(self, inputs: Tensor, boxes_per_image: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Logits of concepts (N, K) and of classes (N, C), image by image.

        Args:
            inputs: (B, 3, H, W), normalised as for the detector.
            boxes_per_image: per image (N_b, 4), xyxy in input pixels.
        """
        return self._read(inputs, bbox2roi(list(boxes_per_image)))

    def _read(self, inputs: Tensor, rois: Tensor) -> tuple[Tensor, Tensor]:
        features = self.encoder(square_crops(inputs, rois, self.crop_size, self.context))[-1].float().mean((2, 3))
        concept_logits = self.concepts(self.dropout(features))
        return concept_logits, self.classify(self.concept_probs(concept_logits))

    def concept_probs(self, concept_logits: Tensor) -> Tensor:
        """(N, K) logits -> (N, K) float32 probabilities, which add up to 1 within each attribute."""
        return torch.cat([column.softmax(1) for column in self._per_attribute(concept_logits.float())], 1)

    def classify(self, concept_probs: Tensor) -> Tensor:
        """(N, K) probabilities, predicted or set by hand, -> (N, C) logits of classes."""
        return self.classes(CONCEPT_GAIN * (concept_probs if self.joint else concept_probs.detach()))

    def _per_attribute(self, values: Tensor) -> tuple[Tensor, ...]:
        return values.split(self.schema.cardinalities, 1)

    def loss(self, inputs: Tensor, boxes_per_image: Sequence[Tensor], attributes_per_image: Sequence[Tensor],
             labels_per_image: Sequence[Tensor]) -> dict[str, Tensor]:
        """Cross-entropies of the attributes, over all known values, and of the classes, over all boxes.

        Args:
            inputs, boxes_per_image: as in :meth:`forward`.
            attributes_per_image: per image (N_b, A) int64, IGNORE where unknown.
            labels_per_image: per image (N_b,) int64.

        Returns:
            ``loss_attributes`` and ``loss_concept_class``; 0 with a gradient graph where nothing is known.

        Raises:
            UserError: the attributes aren't the schema's.
        """
        attributes, labels = torch.cat(list(attributes_per_image)), torch.cat(list(labels_per_image))
        if attributes.shape != (len(labels), len(self.schema)):
            raise UserError(f'ConceptBottleneck: {len(labels)} cells come with attributes of shape '
                            f'{tuple(attributes.shape)}; the schema has {len(self.schema)} attributes '
                            f'({", ".join(self.schema.keys)}); give data set and bottleneck the same schema')
        concept_logits, class_logits = self(inputs, boxes_per_image)
        total, known = zip(*map(known_cross_entropy, self._per_attribute(concept_logits), attributes.unbind(1)))
        class_loss = F.cross_entropy(class_logits, labels, reduction='sum') / max(len(labels), 1)
        return dict(loss_attributes=sum(total) / sum(known).clamp(min=1), loss_concept_class=class_loss)

    def predict(self, inputs: Tensor, boxes_per_image: Sequence[Tensor]) -> list[ConceptReading]:
        """What the crops around boxes show; arguments as in :meth:`forward`."""
        read = [self._read(inputs, rois) for rois in bbox2roi(list(boxes_per_image)).split(self.chunk_size)]
        concept_logits, class_logits = (torch.cat(parts) for parts in zip(*read))
        widest = max(self.schema.cardinalities)
        probs = torch.stack([F.pad(column, (0, widest - column.shape[1]))
                             for column in self._per_attribute(self.concept_probs(concept_logits))], 1)
        counts = [len(boxes) for boxes in boxes_per_image]
        return [ConceptReading(attributes=image.argmax(2), attribute_probs=image, class_probs=classes)
                for image, classes in zip(probs.split(counts), class_logits.float().softmax(1).split(counts))]


def square_crops(inputs: Tensor, rois: Tensor, crop_size: int, context: float) -> Tensor:
    """Squares around boxes, as pictures of S x S; outside the input is 0, from the second pixel on (as in mmcv).

    Args:
        inputs: (B, C, H, W).
        rois: (N, 5): image index, then xyxy in input pixels with x2 >= x1 and y2 >= y1.
        crop_size: S.
        context: see :class:`ConceptBottleneck`.

    Returns:
        (N, C, S, S) float32; shrinking averages over pixels.
    """
    squares = torch.cat([rois[:, :1], square_around(rois[:, 1:], context)], 1)
    return roi_align(inputs.contiguous(), squares, (crop_size, crop_size), 1)


def square_around(boxes_xyxy: Tensor, context: float) -> Tensor:
    """Squares (N, 4) with the centres of boxes (N, 4); sides are 1 + 2 * context of the longer side, which is taken for
    1 pixel at least.

    >>> square_around(torch.tensor([[10.0, 20.0, 30.0, 60.0]]), 0.25).tolist()
    [[-10.0, 10.0, 50.0, 70.0]]
    """
    centres = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    longer = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).amax(1, keepdim=True).clamp(min=1)
    halves = longer * (0.5 + context)
    return torch.cat([centres - halves, centres + halves], 1)


@torch.no_grad()
def _width(encoder: nn.Module, crop_size: int) -> int:
    """Channels of the encoder's last output, from one empty crop; the encoder stays as it was."""
    mode, parameter = encoder.training, next(encoder.parameters())
    encoder.eval()
    outputs = encoder(parameter.new_zeros(1, 3, crop_size, crop_size))
    encoder.train(mode)
    return outputs[-1].shape[1]
