"""Boxes that keep their attributes and their image's annotated regions.

MMDetection's transforms drop, reorder, join and move boxes through the methods of their box type. A box type
that holds more than coordinates keeps all of it in step with the labels, and transforms need no change.

Legend: N boxes, A attributes, R regions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import cv2
import numpy as np
import torch
from mmdet.structures.bbox import HorizontalBoxes, register_box, register_box_converter
from torch import Tensor

from mmleuk.errors import UserError
from mmleuk.schema import IGNORE
from mmleuk.structures.inscribed import project_regions, scale_and_shift
from mmleuk.structures.regions import clip_boxes, clip_regions

Data = Tensor | np.ndarray | Sequence
Pair = tuple[float, float]


def _refuse(name: str) -> Callable[..., NoReturn]:
    def refuse(self: CellBoxes, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(f'CellBoxes are always (N, 4) and have no {name}(); use boxes.tensor or '
                        "boxes.convert_to('hbox') where attributes and regions are not needed")
    refuse.__doc__ = f'Not for cells: {name} would separate the boxes from their attributes.'
    return refuse


@register_box('cbox')
class CellBoxes(HorizontalBoxes):
    """Horizontal boxes with attributes per box and the annotated regions of their image.

    Regions belong to the image, not to a box: they stay when boxes are selected, move when the image moves, and exist
    without any box. They are replaced, never changed in place, so copies may share them.

    Args:
        data: (N, 4) xyxy pixels.
        dtype: dtype of the boxes and regions.
        device: device of all three tensors.
        clone: copy the data.
        in_mode: 'xyxy' or 'cxcywh'.
        attributes: (N, A) integers, IGNORE where unknown; None means A = 0.
        regions: (R, 4) xyxy pixels; None means R = 0, nothing is known anywhere.

    Raises:
        ValueError: attributes don't fit the number of boxes.

    Example:
        >>> boxes = CellBoxes([[0., 0., 2., 2.], [4., 4., 8., 8.]], attributes=[[1], [0]], regions=[[0., 0., 5., 9.]])
        >>> boxes.flip_((9, 10))
        >>> kept = boxes[boxes.areas > 4]
        >>> kept.tensor.tolist(), kept.attributes.tolist(), kept.regions.tolist()
        ([[2.0, 4.0, 6.0, 8.0]], [[0]], [[5.0, 0.0, 10.0, 9.0]])
    """

    tensor: Tensor
    attributes: Tensor
    regions: Tensor

    def __init__(self, data: Data, dtype: torch.dtype | None = None, device: str | torch.device | None = None,
                 clone: bool = True, in_mode: str | None = None, *, attributes: Data | None = None,
                 regions: Data | None = None) -> None:
        super().__init__(data, dtype, device, clone, in_mode)
        if self.tensor.dim() != 2:
            raise ValueError(f'CellBoxes are (N, 4), got {tuple(self.tensor.shape)}')
        self.attributes = (self.tensor.new_zeros(len(self.tensor), 0, dtype=torch.int64) if attributes is None
                           else self._check_attributes(attributes))
        real = self.tensor.dtype if self.tensor.is_floating_point() else torch.float32
        self.regions = (self.tensor.new_zeros(0, 4, dtype=real) if regions is None else
                        torch.as_tensor(regions, dtype=real, device=self.tensor.device).reshape(-1, 4))
        if clone:
            self.attributes = self.attributes.clone()
            self.regions = self.regions.clone()

    def _check_attributes(self, attributes: Data) -> Tensor:
        checked = torch.as_tensor(attributes, dtype=torch.int64, device=self.tensor.device)
        if checked.numel() == 0 and checked.dim() < 2:
            checked = checked.reshape(len(self.tensor), 0)
        if checked.dim() != 2 or len(checked) != len(self.tensor):
            raise ValueError(f'{len(self.tensor)} boxes need attributes (N, A), got {tuple(checked.shape)}')
        return checked

    @classmethod
    def of(cls, tensor: Tensor, attributes: Tensor, regions: Tensor) -> CellBoxes:
        """Boxes of tensors that are known to fit: transforms make 26 of them for a mosaic, and checks take longest."""
        boxes = cls.__new__(cls)
        boxes.tensor, boxes.attributes, boxes.regions = tensor, attributes, regions
        return boxes

    def _like(self, tensor: Tensor, attributes: Tensor) -> CellBoxes:
        return type(self)(tensor, clone=False, attributes=attributes, regions=self.regions)

    # ---- selecting and joining

    def __getitem__(self, index: Any) -> CellBoxes:
        """Boxes and attributes at ``index``; the regions are the image's and stay."""
        if isinstance(index, np.ndarray):
            index = torch.as_tensor(index, device=self.device)
        if not (isinstance(index, Tensor) and index.dim() == 1):
            boxes = super().__getitem__(index)
            rows = self.attributes[index]
            return self.of(boxes.tensor, rows.unsqueeze(0) if rows.dim() == 1 else rows, self.regions)
        return self.of(self.tensor[index], self.attributes[index], self.regions)

    def __setitem__(self, index: Any, values: CellBoxes) -> None:
        """Replace boxes and attributes at ``index``; the regions are the image's and stay."""
        super().__setitem__(index, values)
        if isinstance(index, np.ndarray):
            index = torch.as_tensor(index, device=self.device)
        self.attributes[index] = values.attributes

    @classmethod
    def cat(cls, box_list: Sequence[CellBoxes], dim: int = 0) -> CellBoxes:
        """Boxes, attributes and regions of all, one after the other.

        Raises:
            UserError: the boxes have different numbers of attributes.
        """
        joined = super().cat(box_list, dim)
        joined.attributes = _joined_attributes(box_list)
        joined.regions = torch.cat([boxes.regions for boxes in box_list])
        return joined

    def split(self, split_size_or_sections: int | Sequence[int], dim: int = 0) -> list[CellBoxes]:
        """Consecutive parts, as ``torch.split`` makes them; ``dim`` can only be 0."""
        parts = torch.arange(len(self), device=self.device).split(split_size_or_sections, dim)
        return [self[part] for part in parts]

    def chunk(self, chunks: int, dim: int = 0) -> list[CellBoxes]:
        """Consecutive parts, as ``torch.chunk`` makes them; ``dim`` can only be 0."""
        return [self[part] for part in torch.arange(len(self), device=self.device).chunk(chunks, dim)]

    def empty_boxes(self, dtype: torch.dtype | None = None,
                    device: str | torch.device | None = None) -> CellBoxes:
        """No boxes, same number of attributes, same regions."""
        return self[:0].to(device=device or self.device, dtype=dtype or self.dtype)

    def fake_boxes(self, sizes: tuple[int, ...], fill: float = 0, dtype: torch.dtype | None = None,
                   device: str | torch.device | None = None) -> CellBoxes:
        """Boxes of one value whose attributes are unknown; same regions."""
        tensor = self.tensor.new_full(sizes, fill, dtype=dtype, device=device)
        return self._like(tensor, self.attributes.new_full((len(tensor), self.attributes.shape[1]), IGNORE))

    # ---- copying and sending

    def clone(self) -> CellBoxes:
        """A copy that shares nothing."""
        return self.of(self.tensor.clone(), self.attributes.clone(), self.regions.clone())

    def __deepcopy__(self, memo: dict) -> CellBoxes:
        """A copy that shares nothing."""
        memo[id(self)] = copied = self.clone()
        return copied

    def to(self, *args: Any, **kwargs: Any) -> CellBoxes:
        """As ``Tensor.to``; a dtype concerns boxes and regions, attributes stay integers."""
        return self._like(self.tensor.to(*args, **kwargs), self.attributes)

    def cpu(self) -> CellBoxes:
        """All three tensors in main memory."""
        return self.to('cpu')

    def cuda(self, *args: Any, **kwargs: Any) -> CellBoxes:
        """All three tensors on a GPU."""
        return self._like(self.tensor.cuda(*args, **kwargs), self.attributes)

    def detach(self) -> CellBoxes:
        """Boxes and regions cut from the graph."""
        detached = self._like(self.tensor.detach(), self.attributes)
        detached.regions = self.regions.detach()
        return detached

    def __repr__(self) -> str:
        return (f'CellBoxes(\n{self.tensor},\nattributes={self.attributes},\nregions={self.regions})')

    # ---- moving with the image

    def flip_(self, img_shape: tuple[int, int], direction: str = 'horizontal') -> None:
        """Mirror boxes and regions with an image of ``img_shape`` (height, width)."""
        if direction not in ('horizontal', 'vertical', 'diagonal'):
            raise ValueError(f"direction is 'horizontal', 'vertical' or 'diagonal', got {direction!r}")
        self.tensor = _mirrored(self.tensor, img_shape, direction)
        self.regions = _mirrored(self.regions, img_shape, direction)

    def _move(self, change: Callable[[Tensor, Tensor], Tensor], pair_xy: Pair) -> None:
        """Change boxes and regions by two numbers; faster than the parent's way, a tensor's ``repeat``."""
        x, y = pair_xy
        of_regions = self.regions.new_tensor((x, y, x, y))
        same = self.tensor.dtype == self.regions.dtype
        self.tensor = change(self.tensor, of_regions if same else self.tensor.new_tensor((x, y, x, y)))
        self.regions = change(self.regions, of_regions)

    def translate_(self, distances: tuple[float, float]) -> None:
        """Shift boxes and regions by (x, y) pixels."""
        self._move(torch.add, distances)

    def rescale_(self, scale_factor: tuple[float, float]) -> None:
        """Scale boxes and regions with the image, by (x, y)."""
        self._move(torch.mul, scale_factor)

    @classmethod
    def cat_moved(cls, box_list: Sequence[CellBoxes], scales_xy: Sequence[Pair],
                  shifts_xy: Sequence[Pair]) -> CellBoxes:
        """:meth:`cat` of boxes and regions that were scaled, then shifted with their images; the parts stay unchanged.

        In NumPy, whose steps on the few boxes of an image take less time than PyTorch's.
        """
        dtype = box_list[0].regions.numpy().dtype  # floats, also for boxes of integers
        factors = [np.array((*scale, *scale), dtype) for scale in scales_xy]
        offsets = [np.array((*shift, *shift), dtype) for shift in shifts_xy]

        def moved(tensors: list[Tensor]) -> Tensor:
            parts = [tensor.numpy() * factor + offset for tensor, factor, offset in
                     zip(tensors, factors, offsets, strict=True)]
            return torch.from_numpy(np.concatenate(parts, dtype=dtype))

        return cls.of(moved([boxes.tensor for boxes in box_list]), _joined_attributes(box_list),
                      moved([boxes.regions for boxes in box_list]))

    def resize_(self, scale_factor: tuple[float, float]) -> None:
        """Grow boxes about their own centres. The image doesn't move, so neither do the regions."""
        super().resize_(scale_factor)

    def clip_(self, img_shape: tuple[int, int]) -> None:
        """Cut boxes and regions at the border of (height, width); empty regions are dropped."""
        self.tensor = clip_boxes(self.tensor, img_shape)
        self.regions = clip_regions(self.regions, img_shape)

    def project_(self, homography_matrix: Tensor | np.ndarray) -> None:
        """Boxes become the hull of their projection, regions the inscribed rectangle (see ``project_regions``)."""
        plain = scale_and_shift(homography_matrix)
        if plain:
            self.rescale_(plain[0])
            self.translate_(plain[1])
        else:
            super().project_(homography_matrix)
            self.regions = project_regions(self.regions, homography_matrix)

    def rotate_(self, center: tuple[float, float], angle: float) -> None:
        """Turn clockwise by ``angle`` degrees about ``center``: boxes' hulls, regions' inscribed rectangles."""
        super().rotate_(center, angle)
        turn = cv2.getRotationMatrix2D(center, -angle, 1)
        self.regions = project_regions(self.regions, np.vstack([turn, [0, 0, 1]]))

    view = _refuse('view')
    reshape = _refuse('reshape')
    expand = _refuse('expand')
    repeat = _refuse('repeat')
    transpose = _refuse('transpose')
    permute = _refuse('permute')
    unbind = _refuse('unbind')
    flatten = _refuse('flatten')
    squeeze = _refuse('squeeze')
    unsqueeze = _refuse('unsqueeze')
    stack = classmethod(_refuse('stack'))


def _joined_attributes(box_list: Sequence[CellBoxes]) -> Tensor:
    """Attributes of all, one after the other; a UserError if their numbers differ."""
    counts = sorted({boxes.attributes.shape[1] for boxes in box_list})
    if len(counts) > 1:
        raise UserError(f'cannot join cells with {counts} attributes: data sets that are mixed in one '
                        'image need the same attribute schema')
    return torch.cat([boxes.attributes for boxes in box_list])


def _mirrored(boxes_xyxy: Tensor, image_hw: tuple[int, int], direction: str) -> Tensor:
    """Boxes (N, 4) of the mirrored image: left and right change places, or top and bottom, or both."""
    height, width = image_hw
    mirrored = boxes_xyxy.clone()
    if direction != 'vertical':
        mirrored[:, ::2] = width - boxes_xyxy[:, ::2].flip(1)
    if direction != 'horizontal':
        mirrored[:, 1::2] = height - boxes_xyxy[:, 1::2].flip(1)
    return mirrored


@register_box_converter('cbox', 'hbox')
def cells_to_horizontal(boxes: Tensor) -> Tensor:
    """Unchanged coordinates, without attributes and regions."""
    return boxes


@register_box_converter('hbox', 'cbox')
def horizontal_to_cells(boxes: Tensor) -> Tensor:
    """Unchanged coordinates, without attributes and without a known region."""
    return boxes
