"""Features of a cell's image part by part, and their aggregation: WBCAtt+'s cell-structure-aware model.

Legend: B images of S x S, P groups of parts, D features of one image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmleuk.errors import UserError
from mmleuk.models.attributes.extractors import CropExtractor
from mmleuk.structures.cell_parts import PARTS, UNKNOWN, part_value

Aggregation = Literal['concatenate', 'max', 'mean', 'weighted', 'attention']
AGGREGATIONS: tuple[Aggregation, ...] = ('concatenate', 'max', 'mean', 'weighted', 'attention')
Reading = Literal['masked_images', 'masked_images_with_mask', 'mask_channel', 'pooled_features']
READINGS: tuple[Reading, ...] = ('masked_images', 'masked_images_with_mask', 'mask_channel', 'pooled_features')

PartGroups = Sequence[str | Sequence[str]]
"""One mask per entry, which is a part or several that count as one."""

TWO_CLASSES: PartGroups = ('nucleus', ('cytoplasm', 'vacuole'), ('other', 'platelet', 'RBC'))
"""The parts of older data sets (B.4): the row "2-class" of Table 10."""


def group_table(groups: PartGroups) -> Tensor:
    """Which value of a mask belongs to which group, (P, 256) bool.

    Raises:
        UserError: there is no group, a name is no part, or a part is in two groups.

    >>> group_table(TWO_CLASSES)[:, :6].int().tolist()
    [[0, 0, 1, 0, 0, 0], [0, 1, 0, 0, 0, 1], [1, 0, 0, 1, 1, 0]]
    """
    if not groups:
        raise UserError(f'structure: needs at least one part; known are {", ".join(PARTS)}')
    table = np.zeros((len(groups), UNKNOWN + 1), bool)
    for row, group in enumerate(groups):
        for name in [group] if isinstance(group, str) else group:
            value = part_value(PARTS, name)
            if table[:, value].any():
                raise UserError(f'structure: the part {name!r} is in two groups; name it once')
            table[row, value] = True
    return torch.from_numpy(table)


def binary_masks(masks: Tensor, table: Tensor) -> Tensor:
    """(B, S, S) numbers of parts and (P, 256) of :func:`group_table` -> (B, P, S, S) bool."""
    return table[:, masks.long()].transpose(0, 1)


class PartAggregation(BaseModule):
    """P vectors of an image become one, in one of WBCAtt+'s five ways (Table 8).

    - ``concatenate``: (P * D);
    - ``max``, ``mean``: per feature over the parts;
    - ``weighted``: a mean with learned weights, equal for all images;
    - ``attention``: a mean whose weights a linear layer computes from each image's vectors.

    All but ``concatenate`` and ``weighted`` treat the parts alike: which part a vector is of shows only in the vector.

    Args:
        how: see above.
        num_parts: P.
        in_features: D. ``out_features`` is the number of features that come out.

    Raises:
        UserError: there is no such aggregation.
    """

    def __init__(self, how: Aggregation, num_parts: int, in_features: int) -> None:
        super().__init__()
        if how not in AGGREGATIONS:
            raise UserError(f'structure: unknown aggregation {how!r}; known are {", ".join(AGGREGATIONS)}')
        self.how = how
        self.out_features = in_features * (num_parts if how == 'concatenate' else 1)
        if how == 'weighted':
            self.logits = nn.Parameter(torch.zeros(num_parts))
        if how == 'attention':
            self.score = nn.Linear(in_features, 1)

    def weights(self, features: Tensor) -> Tensor:
        """(B, P, D) -> weight of each part in each image, (B, P), which sum to 1; equal ones for the other ways."""
        if self.how == 'attention':
            return self.score(features).squeeze(2).softmax(1)
        logits = self.logits if self.how == 'weighted' else features.new_zeros(features.shape[1])
        return logits.softmax(0).expand(len(features), -1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, P, D) -> (B, ``out_features``)."""
        if self.how == 'concatenate':
            return features.flatten(1)
        if self.how == 'max':
            return features.amax(1)
        return torch.einsum('bp,bpd->bd', self.weights(features), features)


class StructureExtractor(BaseModule):
    """Crops and their masks -> features, by one encoder.

    Args:
        crop_size: S.
        encoder, dropout: as of :class:`CropExtractor`. Of an encoder with several outputs, ``pooled_features`` uses
            all, the others the last.
        groups: the parts that get a mask each.
        aggregation: of :class:`PartAggregation`.
        reading: how the masks enter:

            - ``masked_images`` (3.3): P images that each show one group, the rest 0, which is the mean colour after
              normalisation; P forward passes;
            - ``masked_images_with_mask`` (B.3.1): P times the whole image with the group's mask as a fourth channel;
            - ``mask_channel`` (Table 9): the whole image once, with the number of the group, scaled to 0 to 1, as a
              fourth channel; nothing is aggregated;
            - ``pooled_features``: the whole image once; the encoder's maps are averaged over each group's pixels.
              Not in the paper: it costs one forward pass instead of P.

    ``out_features`` is the number of features per crop. An encoder of four channels has to be built as such, for
    example by ``in_channels=4``.

    Raises:
        UserError: an argument isn't one of the above.
    """

    def __init__(self, crop_size: int, encoder: dict | None, dropout: float, *, groups: PartGroups = PARTS,
                 aggregation: Aggregation = 'attention', reading: Reading = 'masked_images') -> None:
        super().__init__()
        if reading not in READINGS:
            raise UserError(f'structure: unknown reading {reading!r}; known are {", ".join(READINGS)}')
        self.reading = reading
        self.register_buffer('table', group_table(groups), persistent=False)
        channels = 4 if reading in ('masked_images_with_mask', 'mask_channel') else 3
        self.crops = CropExtractor(crop_size, 0.0, encoder, dropout, channels=channels)
        width = sum(self.crops.widths) if reading == 'pooled_features' else self.crops.out_features
        parts = 1 if reading == 'mask_channel' else len(groups)
        self.aggregation = PartAggregation(aggregation, parts, width)
        self.out_features = self.aggregation.out_features

    def forward(self, crops: Tensor, masks: Tensor) -> Tensor:
        """Crops (B, 3, S, S) and numbers of parts (B, S, S) -> (B, ``out_features``) float32."""
        return self.aggregation(self.part_features(crops, binary_masks(masks, self.table)))

    def part_features(self, crops: Tensor, masks: Tensor) -> Tensor:
        """Crops (B, 3, S, S) and masks (B, P, S, S) bool -> (B, P, D), or (B, 1, D) for ``mask_channel``."""
        if self.reading == 'pooled_features':
            return self.crops.dropout(pooled(self.crops.encoder(crops), masks))
        if self.reading == 'mask_channel':
            numbers = torch.arange(1, masks.shape[1] + 1, device=crops.device) / masks.shape[1]
            channel = (masks * numbers[:, None, None]).sum(1, keepdim=True)
            return self.crops.read(torch.cat([crops, channel.to(crops.dtype)], 1))[:, None]
        masks = masks[:, :, None].to(crops.dtype)  # (B, P, 1, S, S)
        if self.reading == 'masked_images':
            images = crops[:, None] * masks
        else:
            images = torch.cat([crops[:, None].expand(-1, masks.shape[1], -1, -1, -1), masks], 2)
        return self.crops.read(images.flatten(0, 1)).unflatten(0, masks.shape[:2])


def pooled(maps: Sequence[Tensor], masks: Tensor) -> Tensor:
    """Means of feature maps over masks.

    Args:
        maps: per level (B, C_l, H_l, W_l).
        masks: (B, P, S, S) bool; each is averaged down to a map's size, so a small part counts in proportion.

    Returns:
        (B, P, sum of C_l) float32; 0 for a group without a pixel.
    """
    levels = []
    for features in maps:
        height, width = features.shape[2:]
        with torch.autocast(features.device.type, enabled=False):  # in float16 a sum of thousands overflows
            shares = F.adaptive_avg_pool2d(masks.float(), (height, width))
            sums = torch.einsum('bchw,bphw->bpc', features.float(), shares)
            levels.append(sums / shares.sum((2, 3)).clamp(min=1e-6)[..., None])
    return torch.cat(levels, 2)
