"""One feature vector per cell, from a detector's feature maps or from crops of the image.

Legend: B images of H x W, N boxes, C_l channels of feature map l, D features, S side of a crop in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmleuk.errors import UserError
from mmleuk.models.attributes.classifier import NEGATIVE_SLOPE
from mmleuk.models.attributes.roi_align import roi_align
from mmleuk.registry import MODELS

POOLING = 2
"""Window and stride of the max pooling after each convolution."""

NARROW_RESNET = dict(
    type='mmdet.ResNet', depth=18, base_channels=32, num_stages=4, out_indices=(3,), frozen_stages=-1, norm_eval=False,
    norm_cfg=dict(type='GN', num_groups=8))
"""Half of ResNet-18's width. Group normalisation: the features of a crop don't depend on the other crops."""


class RoIExtractor(BaseModule):
    """RoIAlign on feature maps, joined along channels, then 3x3 convolutions with LeakyReLU and max pooling.

    Arguments as of :class:`mmleuk.models.attributes.attri_head.AttriHead`. ``out_features`` is D.
    """

    def __init__(self, in_channels: Sequence[int], featmap_strides: Sequence[float], roi_output_size: tuple[int, int],
                 conv_channels: Sequence[int], sampling_ratio: int) -> None:
        super().__init__()
        self.featmap_strides, self.sampling_ratio = tuple(featmap_strides), sampling_ratio
        if len(in_channels) != len(self.featmap_strides) or not in_channels:
            raise UserError(f'AttriHead: in_channels {tuple(in_channels)} and featmap_strides {self.featmap_strides} '
                            'need one entry per feature map each')
        smallest = POOLING ** len(conv_channels)
        if min(roi_output_size) < smallest:
            raise UserError(f'AttriHead: roi_output_size {tuple(roi_output_size)} is too small for '
                            f'{len(conv_channels)} max poolings; it needs at least {smallest} bins per side')
        self.roi_output_size = (int(roi_output_size[0]), int(roi_output_size[1]))
        layers: list[nn.Module] = []
        widths = (sum(in_channels), *conv_channels)
        for width_in, width_out in zip(widths, widths[1:]):
            layers += [nn.Conv2d(width_in, width_out, 3, padding=1), nn.LeakyReLU(NEGATIVE_SLOPE, inplace=True),
                       nn.MaxPool2d(POOLING)]
        self.convs = nn.Sequential(*layers)
        height, width = (size // smallest for size in self.roi_output_size)
        self.out_features = widths[-1] * height * width

    def forward(self, features: Sequence[Tensor], rois: Tensor) -> Tensor:
        """Maps (B, C_l, H_l, W_l) and boxes (N, 5), image index and xyxy in input pixels, -> (N, D)."""
        # On a CPU, pooling channels-last maps takes four times as long as reordering them first.
        pooled = [roi_align(feature.contiguous(), rois, self.roi_output_size, stride, self.sampling_ratio)
                  for feature, stride in zip(features, self.featmap_strides)]
        return self.convs(torch.cat(pooled, 1)).flatten(1)


class CropExtractor(BaseModule):
    """An encoder over square crops, its last output averaged, with dropout.

    Args:
        crop_size: S.
        context: margin on each side of a box, as a share of its longer side, >= 0.
        encoder: config of a backbone; by default :data:`NARROW_RESNET`.
        dropout: probability, after the average.
        channels: of the crops.

    ``widths`` has the channels of each of the encoder's outputs, ``out_features`` those of the last.
    """

    def __init__(self, crop_size: int, context: float, encoder: dict | None, dropout: float, *,
                 channels: int = 3) -> None:
        super().__init__()
        self.crop_size, self.context = crop_size, context
        self.encoder = MODELS.build(encoder or NARROW_RESNET)
        self.dropout = nn.Dropout(dropout)
        self.widths = _widths(self.encoder, crop_size, channels)
        self.out_features = self.widths[-1]

    def forward(self, inputs: Tensor, rois: Tensor) -> Tensor:
        """Images (B, 3, H, W) and boxes (N, 5), image index and xyxy in input pixels, -> (N, D) float32."""
        return self.read(square_crops(inputs, rois, self.crop_size, self.context))

    def read(self, crops: Tensor) -> Tensor:
        """Crops (N, 3, S, S) -> (N, D) float32."""
        return self.dropout(self.encoder(crops)[-1].float().mean((2, 3)))


def square_crops(inputs: Tensor, rois: Tensor, crop_size: int, context: float) -> Tensor:
    """Squares around boxes, as images of S x S; pixels more than one pixel outside the input are 0 (as in mmcv).

    Args:
        inputs: (B, C, H, W).
        rois: (N, 5): image index, then xyxy in input pixels with x2 >= x1 and y2 >= y1.
        crop_size: S.
        context: margin on each side, as a share of the box's longer side.

    Returns:
        (N, C, S, S) float32; shrinking averages over pixels.
    """
    squares = torch.cat([rois[:, :1], square_around(rois[:, 1:], context)], 1)
    return roi_align(inputs.contiguous(), squares, (crop_size, crop_size), 1)


def square_around(boxes_xyxy: Tensor, context: float) -> Tensor:
    """Squares (N, 4) with the centres of boxes (N, 4); sides are 1 + 2 * context times the longer side, which counts
    as at least 1 pixel.

    >>> square_around(torch.tensor([[10.0, 20.0, 30.0, 60.0]]), 0.25).tolist()
    [[-10.0, 10.0, 50.0, 70.0]]
    """
    centres = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    longer = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).amax(1, keepdim=True).clamp(min=1)
    halves = longer * (0.5 + context)
    return torch.cat([centres - halves, centres + halves], 1)


@torch.no_grad()
def _widths(encoder: nn.Module, crop_size: int, channels: int) -> tuple[int, ...]:
    """Channels of the encoder's outputs, from one empty crop; the encoder stays unchanged.

    Raises:
        UserError: the encoder takes another number of channels.
    """
    mode, parameter = encoder.training, next(encoder.parameters())
    encoder.eval()
    try:
        outputs = encoder(parameter.new_zeros(1, channels, crop_size, crop_size))
    except (RuntimeError, ValueError) as error:
        raise UserError(f'{type(encoder).__name__}: reads no crops of {channels} channels and {crop_size} px '
                        f'({str(error).splitlines()[0]:.200}); give it in_channels={channels}, or crops of another size'
                        ) from error
    encoder.train(mode)
    return tuple(output.shape[1] for output in outputs)
