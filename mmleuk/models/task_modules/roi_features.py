"""Features of boxes, one vector each (LLD Eq. 2), sampled as RoIAlign does with one point per bin."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

from mmleuk.errors import UserError


def bin_centres(boxes_xyxy: Tensor, bins: int) -> Tensor:
    """Middles of ``bins`` x ``bins`` equal parts of every box: (N, 4) -> (N, bins^2, 2) as x, y, row by row.

    >>> bin_centres(torch.tensor([[0., 0., 4., 8.]]), 2).tolist()
    [[[1.0, 2.0], [3.0, 2.0], [1.0, 6.0], [3.0, 6.0]]]
    """
    share = (torch.arange(bins, device=boxes_xyxy.device) + 0.5) / bins
    y, x = torch.meshgrid(share, share, indexing='ij')
    size = boxes_xyxy[:, None, 2:] - boxes_xyxy[:, None, :2]
    return boxes_xyxy[:, None, :2] + size * torch.stack([x, y], -1).flatten(0, 1)


def sample_map(feature: Tensor, image: Tensor, points_xy: Tensor) -> Tensor:
    """Bilinear interpolation at a few points of a map, with RoIAlign's rule at the border.

    It is a weighted sum of rows, so its cost depends only on the number of points. The gradients of RoIAlign and
    grid_sample take many times as long on a CPU.

    Args:
        feature: (B, C, H, W).
        image: (P,) int64, which map.
        points_xy: (P, 2) in grid units; the centre of the first grid cell is at 0. More than one unit outside
            the map (before the first, or past the last centre) gives 0, nearer the value at the border.

    Returns:
        (P, C). No gradient reaches the points.
    """
    height, width = feature.shape[2:]
    last = points_xy.new_tensor([width - 1, height - 1])
    inside = ((points_xy >= -1) & (points_xy <= last + 1)).all(1)
    points = points_xy.detach().maximum(points_xy.new_zeros(2)).minimum(last)
    low = points.floor()
    far = points - low
    near = 1 - far
    column, row = low.long().unbind(1)
    right, below = (column + 1).clamp(max=width - 1), (row + 1).clamp(max=height - 1)
    cells = torch.stack([row * width + column, row * width + right, below * width + column, below * width + right], 1)
    weights = torch.stack([near[:, 1] * near[:, 0], near[:, 1] * far[:, 0], far[:, 1] * near[:, 0],
                           far[:, 1] * far[:, 0]], 1)
    rows = feature.permute(0, 2, 3, 1).reshape(-1, feature.shape[1])
    return embedding_bag(cells + image[:, None] * (height * width), rows, mode='sum',
                         per_sample_weights=weights * inside[:, None])


class RoIFeatures(nn.Module):
    """Features of boxes from the neck's first levels, one vector per box (LLD Eq. 2).

    The numbers are those of RoIAlign with half-pixel alignment and ``sampling_ratio=1``.

    Args:
        strides: pixels per grid unit of the levels used, from the first on.
        output_size: bins per side.

    Raises:
        UserError: the maps have other strides; features would be those of other locations.
    """

    def __init__(self, strides: Sequence[int] = (8, 16), output_size: int = 5) -> None:
        super().__init__()
        self.strides = tuple(strides)
        self.output_size = output_size

    def forward(self, feats: Sequence[Tensor], image: Tensor, boxes_xyxy: Tensor,
                input_hw: Sequence[int] | None = None) -> Tensor:
        """Maps (B, C_l, H_l, W_l), image index (N,) and boxes (N, 4) in pixels -> (N, sum of C_l * output_size^2).

        With the size ``input_hw`` of the images the strides are checked.
        """
        if input_hw is not None:
            self.check_strides([max(input_hw) / max(feat.shape[2:]) for feat in feats])
        points = bin_centres(boxes_xyxy, self.output_size).flatten(0, 1)
        index = image.repeat_interleave(self.output_size ** 2)
        sampled = [sample_map(feat.float(), index, points / stride - 0.5)
                   for feat, stride in zip(feats, self.strides)]
        return torch.cat([s.view(len(image), s.shape[1] * self.output_size ** 2) for s in sampled], 1)

    def check_strides(self, of_maps: Sequence[float]) -> None:
        """Compare the strides with those of a detector's maps, which a last grid cell in part makes a bit smaller."""
        if not all(0.7 < measured / stride < 1.4 for measured, stride in zip(of_maps, self.strides)):
            found = tuple(round(measured) for measured in of_maps[:len(self.strides)])
            raise UserError(f"L_Tri: roi_features.strides is {self.strides}, the detector's first maps have {found}; "
                            f'set roi_features=dict(strides={found})')
