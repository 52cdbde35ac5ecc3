"""AttriHead: morphological attributes of boxes from early feature maps.

Legend: B images, N_b boxes of image b, N boxes in all, A attributes, V values of an attribute, C_l channels and
H_l x W_l size of feature map l.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from mmdet.structures.bbox import bbox2roi
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmleuk.errors import UserError
from mmleuk.models.attributes.roi_align import roi_align
from mmleuk.models.losses.asymmetric_loss import known_cross_entropy
from mmleuk.registry import MODELS
from mmleuk.schema import IGNORE, AttributeSchema, resolve_schema

POOLING = 2
"""Window and stride of the max pooling after each convolution."""

NEGATIVE_SLOPE = 0.01


@MODELS.register_module()
class AttriHead(BaseModule):
    """Attributes of every box, from RoIAlign on early feature maps.

    The maps are concatenated along channels, then come 3x3 convolutions, each with LeakyReLU and max pooling, and a
    fully connected net. A binary attribute gets one logit, an attribute with V > 2 values gets V.

    Args:
        attributes: schema: a preset's name (``leukemia``, ``wbcatt``), or ``{attribute: [value names]}``.
        in_channels: C_l of each feature map. :class:`AttriDet` fills it in from the backbone.
        featmap_strides: input pixels per pixel of each feature map; :class:`AttriDet` fills it in, too.
        roi_output_size: bins (height, width) of RoIAlign.
        conv_channels: output channels of each convolution.
        fc_channels: hidden widths of the fully connected net.
        dropout: probability between fully connected layers.
        sampling_ratio: samples per bin and axis of RoIAlign; 0, the default, takes one per feature pixel. For cells
            of up to 96 x 120 pixels on a map of stride 4 that is one sample per bin; larger ones are averaged rather
            than thinned out. On a CPU it costs the same as a fixed number (see ``roi_align.py``).
        loss_binary: loss of binary attributes; needs a ``sum_and_count`` like :class:`AsymmetricLoss`.
        chunk_size: boxes looked at together in prediction; it bounds memory, not results.

    Source: LLD 4.2, Eq. 3. The paper's "128 and 256 channels" are YOLOv5l's; here widths come from the backbone. It has
    one logit per attribute, as in the paper (its release has two).
    """

    def __init__(self, *, attributes: str | Mapping[str, object] | AttributeSchema, in_channels: Sequence[int],
                 featmap_strides: Sequence[float], roi_output_size: tuple[int, int] = (24, 30),
                 conv_channels: Sequence[int] = (128, 64, 64), fc_channels: Sequence[int] = (1024, 256),
                 dropout: float = 0.2, sampling_ratio: int = 0, loss_binary: dict | None = None,
                 chunk_size: int = 64, init_cfg: dict | list | None = None) -> None:
        super().__init__(init_cfg or dict(type='Kaiming', layer=['Conv2d', 'Linear'], a=NEGATIVE_SLOPE, mode='fan_in',
                                          nonlinearity='leaky_relu'))
        self.schema = resolve_schema(attributes)
        self.in_channels, self.featmap_strides = tuple(in_channels), tuple(featmap_strides)
        self.roi_output_size = _checked_pair(roi_output_size, len(conv_channels))
        self.sampling_ratio, self.chunk_size = sampling_ratio, chunk_size
        if not len(self.schema):
            raise UserError('AttriHead: the attribute schema is empty; give attributes="leukemia" or a dict')
        if len(self.in_channels) != len(self.featmap_strides) or not self.in_channels:
            raise UserError(f'AttriHead: in_channels {self.in_channels} and featmap_strides {self.featmap_strides} '
                            'need one entry per feature map each')
        self.convs = _convolutions(sum(self.in_channels), conv_channels)
        height, width = (size // POOLING ** len(conv_channels) for size in self.roi_output_size)
        last = conv_channels[-1] if conv_channels else sum(self.in_channels)
        self.fcs = _fully_connected((last * height * width, *fc_channels, sum(self.logit_counts)), dropout)
        self.loss_binary = MODELS.build(loss_binary or dict(type='mmleuk.AsymmetricLoss'))

    @property
    def logit_counts(self) -> tuple[int, ...]:
        """Logits of each attribute: 1 for a binary one, else V."""
        return tuple(1 if values == 2 else values for values in self.schema.cardinalities)

    def forward(self, features: Sequence[Tensor], boxes_per_image: Sequence[Tensor]) -> Tensor:
        """Logits of boxes.

        Args:
            features: per map (B, C_l, H_l, W_l).
            boxes_per_image: per image (N_b, 4), xyxy in input pixels.

        Returns:
            (N, sum of logit_counts), image by image.
        """
        return self._classify(features, bbox2roi(list(boxes_per_image)))

    def _classify(self, features: Sequence[Tensor], rois: Tensor) -> Tensor:
        # On a CPU pooling maps that come channels last takes four times as long as reordering them first.
        pooled = [roi_align(feature.contiguous(), rois, self.roi_output_size, stride, self.sampling_ratio)
                  for feature, stride in zip(features, self.featmap_strides)]
        return self.fcs(self.convs(torch.cat(pooled, 1)).flatten(1))

    def loss(self, features: Sequence[Tensor], boxes_per_image: Sequence[Tensor],
             attributes_per_image: Sequence[Tensor]) -> dict[str, Tensor]:
        """Mean loss over all known attribute values of the batch.

        Args:
            features, boxes_per_image: as in :meth:`forward`; ground-truth boxes.
            attributes_per_image: per image (N_b, A) int64, IGNORE where unknown.

        Returns:
            ``loss_attributes``; 0 with a gradient graph where there is no box or nothing is known.

        Raises:
            UserError: rows or columns of the attributes don't fit the boxes or the schema.
        """
        targets = self._checked_targets(boxes_per_image, attributes_per_image)
        # Cells of which nothing is known, such as red ones, are most of a film and have no part in the loss.
        described = [(attributes != IGNORE).any(1) for attributes in attributes_per_image]
        boxes = [all_boxes[keep] for all_boxes, keep in zip(boxes_per_image, described)]
        total, known = zip(*self._losses(self(features, boxes), targets[torch.cat(described)]))
        return dict(loss_attributes=sum(total) / sum(known).clamp(min=1))

    def _losses(self, logits: Tensor, targets: Tensor) -> list[tuple[Tensor, Tensor]]:
        """(N, sum of logit_counts) and (N, A) -> per attribute (sum, number of known values)."""
        return [self.loss_binary.sum_and_count(column[:, 0], target) if column.shape[1] == 1
                else known_cross_entropy(column, target)
                for column, target in zip(logits.split(self.logit_counts, 1), targets.unbind(1))]

    def _checked_targets(self, boxes_per_image: Sequence[Tensor], attributes_per_image: Sequence[Tensor]) -> Tensor:
        for boxes, attributes in zip(boxes_per_image, attributes_per_image):
            if attributes.shape != (len(boxes), len(self.schema)):
                raise UserError(f'AttriHead: {len(boxes)} cells come with attributes of shape '
                                f'{tuple(attributes.shape)}; the schema has {len(self.schema)} attributes '
                                f'({", ".join(self.schema.keys)}); give data set and head the same schema')
        return torch.cat(list(attributes_per_image)).long()

    def predict(self, features: Sequence[Tensor], boxes_per_image: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """Most probable values of boxes.

        Args:
            features, boxes_per_image: as in :meth:`forward`; predicted or ground-truth boxes.

        Returns:
            Per image (N_b, A) int64 values, and (N_b, A, Vmax) float32 probabilities of each value, zero beyond an
            attribute's own V.
        """
        chunks = bbox2roi(list(boxes_per_image)).split(self.chunk_size)
        logits = torch.cat([self._classify(features, rois) for rois in chunks])
        probabilities = self.decode(logits)
        counts = [len(boxes) for boxes in boxes_per_image]
        return [(image.argmax(2), image) for image in probabilities.split(counts)]

    def decode(self, logits: Tensor) -> Tensor:
        """Logits (N, sum of logit_counts) -> probabilities (N, A, Vmax) float32."""
        logits = logits.float()
        result = logits.new_zeros(len(logits), len(self.schema), max(self.schema.cardinalities))
        for index, column in enumerate(logits.split(self.logit_counts, 1)):
            if column.shape[1] == 1:
                column = torch.cat([torch.zeros_like(column), column], 1)  # softmax of (0, x) is the sigmoid of x
            result[:, index, :column.shape[1]] = column.softmax(1)
        return result


def _checked_pair(roi_output_size: tuple[int, int], poolings: int) -> tuple[int, int]:
    height, width = roi_output_size
    if min(height, width) < POOLING ** poolings:
        raise UserError(f'AttriHead: roi_output_size {(height, width)} is too small for {poolings} max poolings; '
                        f'it needs at least {POOLING ** poolings} bins per side')
    return int(height), int(width)


def _convolutions(in_channels: int, channels: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width_in, width_out in zip((in_channels, *channels), channels):
        layers += [nn.Conv2d(width_in, width_out, 3, padding=1), nn.LeakyReLU(NEGATIVE_SLOPE, inplace=True),
                   nn.MaxPool2d(POOLING)]
    return nn.Sequential(*layers)


def _fully_connected(widths: Sequence[int], dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Linear(widths[0], widths[1])]
    for width_in, width_out in zip(widths[1:], widths[2:]):
        layers += [nn.LeakyReLU(NEGATIVE_SLOPE, inplace=True), nn.Dropout(dropout), nn.Linear(width_in, width_out)]
    return nn.Sequential(*layers)
