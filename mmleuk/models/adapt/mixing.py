"""Images and labels put together from quarters of images, as ConfMix and DACA do.

Legend: K boxes, xyxy in input pixels; H x W the image. A quarter is an index: 0 top left, 1 top right, 2 bottom left,
3 bottom right.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.structures import InstanceData
from torch import Tensor

from mmleuk.errors import UserError


def quarter_window(quarter: int, image_hw: Sequence[int]) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2 of a quarter, in whole pixels.

    >>> [quarter_window(quarter, (5, 8)) for quarter in (0, 3)]
    [(0, 0, 4, 2), (4, 2, 8, 5)]
    """
    height, width = image_hw
    x, y = width // 2, height // 2
    left, top = quarter % 2 == 0, quarter < 2
    return 0 if left else x, 0 if top else y, x if left else width, y if top else height


def quarters_of(boxes_xyxy: Tensor, image_hw: Sequence[int]) -> Tensor:
    """The quarter that each box's centre lies in: (K, 4) -> (K,) int64."""
    height, width = image_hw
    centre = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    right, low = (centre >= centre.new_tensor([width // 2, height // 2])).unbind(1)
    return right.long() + 2 * low.long()


def best_quarter(boxes_xyxy: Tensor, scores: Tensor, image_hw: Sequence[int]) -> int | None:
    """The quarter whose detections have the highest mean score; None without a detection.

    >>> boxes = torch.tensor([[0., 0., 2., 2.], [6., 6., 8., 8.], [6., 6., 7., 7.]])
    >>> best_quarter(boxes, torch.tensor([0.7, 0.9, 0.3]), (8, 8))
    0

    Source: ConfMix (WACV 2023).
    """
    if not len(scores):
        return None
    quarters = quarters_of(boxes_xyxy, image_hw)
    total = scores.new_zeros(4).index_add(0, quarters, scores)
    count = torch.bincount(quarters, minlength=4)
    return int(torch.where(count > 0, total / count.clamp(min=1), -1.0).argmax())


def clip_to(boxes_xyxy: Tensor, window_xyxy: Sequence[float]) -> Tensor:
    """The parts of boxes (K, 4) inside a window."""
    x1, y1, x2, y2 = window_xyxy
    low, high = boxes_xyxy.new_tensor([x1, y1, x1, y1]), boxes_xyxy.new_tensor([x2, y2, x2, y2])
    return torch.minimum(torch.maximum(boxes_xyxy, low), high)


def cut_away(boxes_xyxy: Tensor, window_xyxy: Sequence[float]) -> Tensor:
    """Boxes (K, 4) without their parts in a window: of each the largest rectangle that is left.

    >>> cut_away(torch.tensor([[2., 1., 6., 3.], [0., 0., 1., 1.]]), (4, 0, 8, 4)).tolist()
    [[2.0, 1.0, 4.0, 3.0], [0.0, 0.0, 1.0, 1.0]]
    """
    x1, y1, x2, y2 = boxes_xyxy.new_tensor(window_xyxy)
    left, top, right, bottom = boxes_xyxy.unbind(1)
    rests = torch.stack([
        torch.stack([left, top, torch.minimum(right, x1), bottom], 1),
        torch.stack([torch.maximum(left, x2), top, right, bottom], 1),
        torch.stack([left, top, right, torch.minimum(bottom, y1)], 1),
        torch.stack([left, torch.maximum(top, y2), right, bottom], 1)], 1)
    sides = (rests[..., 2:] - rests[..., :2]).clamp(0)
    largest = sides.prod(-1).argmax(1)
    meets = (torch.minimum(right, x2) > torch.maximum(left, x1)) & (torch.minimum(bottom, y2) > torch.maximum(top, y1))
    return torch.where(meets[:, None], rests[torch.arange(len(rests), device=rests.device), largest], boxes_xyxy)


def large_enough(boxes_xyxy: Tensor, min_side: float) -> Tensor:
    """Which boxes (K, 4) have both sides of at least ``min_side`` pixels: (K,) bool."""
    return ((boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]) >= min_side).all(1)


def check_one_size(source: Tensor, target: Tensor) -> None:
    """Compare batches of images (B, 3, H, W), whose quarters are exchanged.

    Raises:
        UserError: they have other sizes.
    """
    if source.shape[-2:] != target.shape[-2:]:
        sizes = ' and '.join(f'{images.shape[-1]} x {images.shape[-2]} px' for images in (source, target))
        raise UserError(f"images of source and target are mixed, but a batch's are {sizes}; give both pipelines one "
                        'size, such as Resize with Pad')


def paste_quarter(source: Tensor, target: Tensor, quarter: int) -> Tensor:
    """A copy of the source's image (3, H, W) with this quarter of the target's image (3, H, W)."""
    x1, y1, x2, y2 = quarter_window(quarter, source.shape[-2:])
    mixed = source.clone()
    mixed[:, y1:y2, x1:x2] = target[:, y1:y2, x1:x2]
    return mixed


def mix_labels(source: InstanceData, target: InstanceData, quarter: int, image_hw: Sequence[int],
               min_side: float = 2.0) -> InstanceData:
    """Labels of :func:`paste_quarter`'s image, clipped at the quarter's border; a label goes where its centre lies.

    Args:
        source: ``bboxes`` (K, 4), ``labels`` and ``scores`` (K,).
        target: the same of the target's image.
        min_side: labels of which less is left are dropped.

    Returns:
        ``bboxes``, ``labels`` and ``scores``, those of the source first.
    """
    window = quarter_window(quarter, image_hw)
    outside = source[quarters_of(source.bboxes, image_hw) != quarter]
    inside = target[quarters_of(target.bboxes, image_hw) == quarter]
    boxes = torch.cat([cut_away(clip_to(outside.bboxes, (0, 0, image_hw[1], image_hw[0])), window),
                       clip_to(inside.bboxes, window)])
    mixed = InstanceData(bboxes=boxes, labels=torch.cat([outside.labels, inside.labels]),
                         scores=torch.cat([outside.scores, inside.scores]))
    return mixed[large_enough(boxes, min_side)]


def regions_without(regions_xyxy: Tensor, window_xyxy: Sequence[float]) -> Tensor:
    """Regions (R, 4) without their parts in a window: up to four rectangles of each, which don't overlap.

    >>> regions_without(torch.tensor([[0., 0., 8., 8.]]), (4, 0, 8, 4)).tolist()
    [[0.0, 0.0, 4.0, 4.0], [0.0, 4.0, 8.0, 8.0]]
    """
    x1, y1, x2, y2 = regions_xyxy.new_tensor(window_xyxy)
    left, top, right, bottom = regions_xyxy.unbind(1)
    high, low = torch.maximum(top, y1), torch.minimum(bottom, y2)
    rests = torch.cat([
        torch.stack([left, top, right, torch.minimum(bottom, y1)], 1),
        torch.stack([left, high, torch.minimum(right, x1), low], 1),
        torch.stack([torch.maximum(left, x2), high, right, low], 1),
        torch.stack([left, torch.maximum(top, y2), right, bottom], 1)])
    return rests[(rests[:, 2:] > rests[:, :2]).all(1)]
