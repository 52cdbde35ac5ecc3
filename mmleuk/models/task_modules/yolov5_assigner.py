"""YOLOv5's assignment of cells to the predictions of a level.

Legend: B images, T cells in the batch, A anchors of a level, H x W its grid, K assignments, R regions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from mmengine.structures import InstanceData
from torch import Tensor

from mmleuk.structures.regions import points_in_regions


@dataclass(frozen=True)
class BatchCells:
    """Cells of a batch.

    Attributes:
        image: (T,) int64, index of the image in the batch.
        label: (T,) int64.
        boxes: (T, 4) float, centre and size in pixels.
        weight: (T,) weight of each cell in the loss; None means 1.
        teaches_box: (T,) bool, the boxes that are good enough to learn; None means all. Of other cells only the
            objectness and the class are learnt.
        annotated: (T,) bool; None means all. Other cells are labels that were found.
    """

    image: Tensor
    label: Tensor
    boxes: Tensor
    weight: Tensor | None = None
    teaches_box: Tensor | None = None
    annotated: Tensor | None = None

    @property
    def boxes_xyxy(self) -> Tensor:
        """(T, 4) float, corners in pixels."""
        half = self.boxes[:, 2:] / 2
        return torch.cat([self.boxes[:, :2] - half, self.boxes[:, :2] + half], 1)

    @classmethod
    def from_instances(cls, instances: Sequence[InstanceData]) -> BatchCells:
        """Collect ``bboxes`` (N, 4, xyxy) and ``labels`` (N,) of every image.

        Labels of a :class:`mmleuk.SparseLabelDetector` also have ``weight``, ``teaches_box``, ``source`` and
        ``scores``. Then annotated cells come first, and the others by score, highest first: sums don't depend on the
        order of images.
        """
        image = torch.cat([i.labels.new_full((len(i.labels),), b) for b, i in enumerate(instances)])
        xyxy = torch.cat([i.bboxes for i in instances])
        boxes = torch.cat([(xyxy[:, :2] + xyxy[:, 2:]) / 2, xyxy[:, 2:] - xyxy[:, :2]], 1)
        cells = cls(image=image, label=torch.cat([i.labels for i in instances]), boxes=boxes)
        if not all('source' in i for i in instances):
            return cells
        weight, teaches_box, source, scores = (
            torch.cat([i[name] for i in instances]) for name in ('weight', 'teaches_box', 'source', 'scores'))
        cells = replace(cells, weight=weight, teaches_box=teaches_box, annotated=source == 0)
        order = torch.where(source == 0, torch.inf, scores).argsort(descending=True, stable=True)
        return cls(**{name: value[order] for name, value in vars(cells).items()})


@dataclass(frozen=True)
class LevelAssignment:
    """Predictions of one level that learn a cell. A prediction may learn several cells, and a cell may have many.

    Attributes:
        image, anchor, row, column: (K,) int64, index of the prediction in (B, A, H, W).
        label: (K,) int64.
        boxes: (K, 4) float, in grid units: centre relative to the grid cell's corner, and size.
        anchor_size: (K, 2) float, width and height of the anchor in grid units.
        weight, teaches_box, annotated: (K,) of the cells, as in :class:`BatchCells`.
    """

    image: Tensor
    anchor: Tensor
    row: Tensor
    column: Tensor
    label: Tensor
    boxes: Tensor
    anchor_size: Tensor
    weight: Tensor | None = None
    teaches_box: Tensor | None = None
    annotated: Tensor | None = None

    def keep(self, mask: Tensor) -> LevelAssignment:
        """The assignments where ``mask`` (K,) is True."""
        values: dict[str, Any] = {name: value if value is None else value[mask] for name, value in vars(self).items()}
        return LevelAssignment(**values)


def neighbour_shifts(centre: Tensor, grid_wh: Tensor, reach: float = 0.5) -> tuple[Tensor, Tensor]:
    """Grid cells beside that of a centre: the nearer horizontal and the nearer vertical neighbour.

    Args:
        centre: (K, 2) in grid units.
        grid_wh: (2,) size of the grid; neighbours outside it are left out.
        reach: largest distance to the neighbour's border, in grid units.

    Returns:
        index (K',) into the rows of ``centre`` and shift (K', 2) to subtract before flooring; first all
        own grid cells, then left, upper, right and lower neighbours.
    """
    from_end = grid_wh - centre
    near_start = (centre % 1 < reach) & (centre > 1)
    near_end = (from_end % 1 < reach) & (from_end > 1)
    chosen = torch.cat([torch.ones_like(near_start[:, :1]), near_start, near_end], 1).T
    shifts = reach * centre.new_tensor([[0, 0], [1, 0], [0, 1], [-1, 0], [0, -1]])
    direction, index = chosen.nonzero(as_tuple=True)
    return index, shifts[direction]


def assign_level(cells: BatchCells, anchors_px: Tensor, stride: int, grid_hw: Sequence[int],
                 max_ratio: float = 4.0) -> LevelAssignment:
    """Assign each cell to anchors of a similar shape, at the centre's grid cell and its two nearest neighbours.

    Args:
        cells: the batch's cells.
        anchors_px: (A, 2) width and height in pixels.
        stride: pixels per grid unit.
        grid_hw: (H, W).
        max_ratio: an anchor fits when neither side differs by more than this factor ('anchor ratio threshold').

    Source: YOLOv5, release 6, from its published method.
    """
    anchors = anchors_px / stride
    boxes = cells.boxes / stride
    ratio = boxes[None, :, 2:] / anchors[:, None]
    fits = torch.maximum(ratio, 1 / ratio).amax(2) < max_ratio
    anchor, cell = fits.nonzero(as_tuple=True)
    grid_wh = boxes.new_tensor([grid_hw[1], grid_hw[0]])
    index, shift = neighbour_shifts(boxes[cell, :2], grid_wh)
    anchor, cell = anchor[index], cell[index]
    corner = (boxes[cell, :2] - shift).long()
    column, row = corner[:, 0].clamp(0, grid_hw[1] - 1), corner[:, 1].clamp(0, grid_hw[0] - 1)
    relative = torch.cat([boxes[cell, :2] - torch.stack([column, row], 1), boxes[cell, 2:]], 1)
    return LevelAssignment(image=cells.image[cell], anchor=anchor, row=row, column=column, label=cells.label[cell],
                           boxes=relative, anchor_size=anchors[anchor],
                           **{name: None if getattr(cells, name) is None else getattr(cells, name)[cell]
                              for name in ('weight', 'teaches_box', 'annotated')})


def location_centres(grid_hw: Sequence[int], stride: int, device: torch.device) -> Tensor:
    """Centres of a level's grid cells in pixels, (H, W, 2) as x, y."""
    rows = torch.arange(grid_hw[0], device=device)
    columns = torch.arange(grid_hw[1], device=device)
    y, x = torch.meshgrid(rows, columns, indexing='ij')
    return (torch.stack([x, y], -1) + 0.5) * stride


def locations_in_regions(regions: Sequence[Tensor], grid_hw: Sequence[int], stride: int) -> Tensor:
    """Which grid cells of a level have their centre in a region of their image.

    Args:
        regions: per image (R, 4) xyxy in pixels (R may be 0 and differ).

    Returns:
        (B, H, W) bool, on the device of ``regions``.
    """
    centres = location_centres(grid_hw, stride, regions[0].device)
    return torch.stack([points_in_regions(centres, region) for region in regions])
