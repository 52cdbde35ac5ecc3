"""AttriHead: morphological attributes of boxes from early feature maps.

Legend: B images, N_b boxes of image b, N boxes in all, A attributes, V values of an attribute, C_l channels and
H_l x W_l size of feature map l.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from mmdet.structures.bbox import bbox2roi
from mmengine.model import BaseModule
from torch import Tensor

from mmleuk.models.attributes.classifier import NEGATIVE_SLOPE, AttributeClassifier, described_rows
from mmleuk.models.attributes.extractors import RoIExtractor
from mmleuk.registry import MODELS
from mmleuk.schema import AttributeSchema

ASYMMETRIC = dict(type='mmleuk.AsymmetricLoss')


@MODELS.register_module()
class AttriHead(BaseModule):
    """Attributes of every box: :class:`RoIExtractor` on early feature maps, then :class:`AttributeClassifier`.

    Args:
        attributes: schema: a preset's name (``leukemia``, ``wbcatt``), or ``{attribute: [value names]}``.
        in_channels: C_l of each feature map. :class:`AttriDet` fills it in from the backbone.
        featmap_strides: input pixels per pixel of each feature map; :class:`AttriDet` fills it in as well.
        roi_output_size: bins (height, width) of RoIAlign.
        conv_channels: output channels of each convolution.
        fc_channels: hidden widths of the fully connected net.
        dropout: probability between fully connected layers.
        sampling_ratio: samples per bin and axis of RoIAlign; 0, the default, takes one per feature pixel. For cells
            of up to 96 x 120 pixels on a map of stride 4 that is one sample per bin; larger ones get several,
            which are averaged. On a CPU it costs the same as a fixed number (see ``roi_align.py``).
        loss_binary: as of :class:`AttributeClassifier`; :class:`AsymmetricLoss` and one logit by default.
        imbalance: as of :class:`AttributeClassifier`; it needs ``loss_binary=None``.
        chunk_size: boxes per forward pass in prediction; it limits memory and doesn't change results.

    Source: LLD 4.2, Eq. 3. The paper's "128 and 256 channels" are YOLOv5l's; here widths come from the backbone. It has
    one logit per attribute, as in the paper (its release has two).
    """

    old_names = {'convs.': 'extractor.convs.', 'fcs.': 'classifier.layers.'}
    """Names of weights in checkpoints of earlier versions; see :func:`mmleuk.utils.checkpoint.fit_checkpoint`."""

    def __init__(self, *, attributes: str | Mapping[str, object] | AttributeSchema, in_channels: Sequence[int],
                 featmap_strides: Sequence[float], roi_output_size: tuple[int, int] = (24, 30),
                 conv_channels: Sequence[int] = (128, 64, 64), fc_channels: Sequence[int] = (1024, 256),
                 dropout: float = 0.2, sampling_ratio: int = 0,
                 loss_binary: dict | None = ASYMMETRIC, imbalance: str = 'none', chunk_size: int = 64,
                 init_cfg: dict | list | None = None) -> None:
        super().__init__(init_cfg or dict(type='Kaiming', layer=['Conv2d', 'Linear'], a=NEGATIVE_SLOPE, mode='fan_in',
                                          nonlinearity='leaky_relu'))
        self.in_channels, self.featmap_strides = tuple(in_channels), tuple(featmap_strides)
        self.chunk_size = chunk_size
        self.extractor = RoIExtractor(in_channels, featmap_strides, roi_output_size, conv_channels, sampling_ratio)
        self.classifier = AttributeClassifier(attributes, self.extractor.out_features, hidden=fc_channels,
                                              dropout=dropout, loss_binary=loss_binary, imbalance=imbalance,
                                              owner='AttriHead')
        self.schema = self.classifier.schema

    def forward(self, features: Sequence[Tensor], boxes_per_image: Sequence[Tensor]) -> Tensor:
        """Logits of boxes.

        Args:
            features: per map (B, C_l, H_l, W_l).
            boxes_per_image: per image (N_b, 4), xyxy in input pixels.

        Returns:
            (N, K) for :meth:`AttributeClassifier.decode`, image by image.
        """
        return self.classifier(self.extractor(features, bbox2roi(list(boxes_per_image))))

    def loss(self, features: Sequence[Tensor], boxes_per_image: Sequence[Tensor],
             attributes_per_image: Sequence[Tensor]) -> dict[str, Tensor]:
        """Mean loss over all known attribute values of the batch.

        Args:
            features, boxes_per_image: as in :meth:`forward`; ground-truth boxes.
            attributes_per_image: per image (N_b, A) int64, IGNORE where unknown.

        Returns:
            ``loss_attributes``; 0 with a gradient graph if there is no box or no known value.

        Raises:
            UserError: rows or columns of the attributes don't fit the boxes or the schema.
        """
        targets = self.classifier.checked_targets([len(boxes) for boxes in boxes_per_image], attributes_per_image)
        # Most cells of an image, such as red cells, have no known attribute and are not in the loss.
        described = [described_rows(attributes) for attributes in attributes_per_image]
        boxes = [all_boxes[keep] for all_boxes, keep in zip(boxes_per_image, described)]
        return dict(loss_attributes=self.classifier.loss(self(features, boxes), targets[torch.cat(described)]))

    def predict(self, features: Sequence[Tensor], boxes_per_image: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """Most probable values of boxes.

        Args:
            features, boxes_per_image: as in :meth:`forward`; predicted or ground-truth boxes.

        Returns:
            Per image (N_b, A) int64 values, and (N_b, A, Vmax) float32 probabilities of each value, zero beyond an
            attribute's own V.
        """
        chunks = bbox2roi(list(boxes_per_image)).split(self.chunk_size)
        logits = torch.cat([self.classifier(self.extractor(features, rois)) for rois in chunks])
        counts = [len(boxes) for boxes in boxes_per_image]
        return [(image.argmax(2), image) for image in self.classifier.decode(logits).split(counts)]
