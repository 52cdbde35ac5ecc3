"""Testing on overlapping tiles of an image."""

from __future__ import annotations

from typing import Any

import torch
from mmcv.ops import batched_nms
from mmdet.models.detectors import SingleStageDetector
from mmdet.structures import SampleList
from mmdet.structures.bbox import scale_boxes
from mmdet.utils import InstanceList
from mmengine.structures import InstanceData
from torch import Tensor

from mmleuk.errors import UserError
from mmleuk.registry import MODELS

_TOUCH = 4.0  # px of a tile's border within which a box may belong to a cell that the border cuts


def tile_starts(length: int, tile: int, overlap: int) -> list[int]:
    """First pixels of tiles that cover ``length`` pixels; the last tile ends at the border.

    >>> tile_starts(640, 288, 96), tile_starts(200, 288, 96)
    ([0, 192, 352], [0])
    """
    if length <= tile:
        return [0]
    return [*range(0, length - tile, tile - overlap), length - tile]


def cut_by_border(boxes: Tensor, tile: int, inner: tuple[bool, bool, bool, bool], overlap: int) -> Tensor:
    """Which boxes end at a border inside the image and lie wholly in the neighbouring tile.

    The neighbouring tile shows at least as much of such a cell, mostly all of it. The part that ends at the border
    would not be suppressed, since its overlap with the whole cell is too small for non-maximum suppression.

    Args:
        boxes: (N, 4) xyxy in the tile's pixels.
        tile: its side, pixels.
        inner: whether another tile lies beyond the left, top, right, bottom border.
        overlap: smallest number of pixels that neighbours share.

    Returns:
        (N,) bool.

    >>> import torch
    >>> boxes = torch.tensor([[0., 20., 30., 50.], [0., 20., 60., 50.], [20., 20., 50., 50.], [60., 20., 96., 50.]])
    >>> cut_by_border(boxes, 96, (True, False, False, False), overlap=32).tolist()
    [True, False, False, False]
    >>> cut_by_border(boxes, 96, (False, False, True, False), overlap=40).tolist()
    [False, False, False, True]
    """
    left, top, right, bottom = boxes.unbind(1)
    distance = (left, top, tile - right, tile - bottom)  # from the border
    reach = (right, bottom, tile - left, tile - top)  # from the same border to the box's far side
    cut = boxes.new_zeros(len(boxes), dtype=torch.bool)
    for is_inner, near, far in zip(inner, distance, reach):
        if is_inner:
            cut |= (near < _TOUCH) & (far <= overlap)
    return cut


@MODELS.register_module()
class TiledDetector(SingleStageDetector):
    """Single-stage detector that is trained on patches and tested on overlapping tiles of the whole image.

    Args:
        tile_size: side of a tile in input pixels, a multiple of the largest stride.
        overlap: smallest number of pixels that neighbouring tiles share; at least the size of a cell.
        others: as of mmdet's SingleStageDetector. ``test_cfg.nms`` also joins the tiles' detections.

    A box that ends at a tile's border is dropped; the neighbouring tile shows more of the cell (:func:`cut_by_border`).

    Source: LLD 5.2, the baseline 'trained on cropped, annotated patches'; the paper doesn't give the tile size, the
    overlap, or how tiles are joined.
    """

    def __init__(self, *, tile_size: int, overlap: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0 <= overlap < tile_size:
            raise UserError(f'TiledDetector needs 0 <= overlap < tile_size, got {overlap} and {tile_size}')
        self.tile_size = tile_size
        self.overlap = overlap

    def predict(self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True) -> SampleList:
        """Detections of images (B, 3, H, W), tile by tile, joined by non-maximum suppression per class."""
        metas = [sample.metainfo for sample in batch_data_samples]
        found: list[InstanceList] = [[] for _ in metas]
        for top in tile_starts(batch_inputs.shape[2], self.tile_size, self.overlap):
            for left in tile_starts(batch_inputs.shape[3], self.tile_size, self.overlap):
                for results, detections in zip(found, self._predict_tile(batch_inputs, top, left)):
                    results.append(detections)
        joined = [self._join(results, meta, rescale) for results, meta in zip(found, metas)]
        return self.add_pred_to_datasample(batch_data_samples, joined)

    def _predict_tile(self, batch_inputs: Tensor, top: int, left: int) -> InstanceList:
        tile = batch_inputs[:, :, top:top + self.tile_size, left:left + self.tile_size]
        metas = [dict(img_shape=tuple(tile.shape[2:]))] * len(tile)
        outputs = self.bbox_head(self.extract_feat(tile))
        detections = self.bbox_head.predict_by_feat(*outputs, batch_img_metas=metas, rescale=False)
        height, width = batch_inputs.shape[2:]
        inner = (left > 0, top > 0, left + self.tile_size < width, top + self.tile_size < height)
        kept = [result[~cut_by_border(result.bboxes, self.tile_size, inner, self.overlap)] for result in detections]
        for result in kept:
            result.bboxes = result.bboxes + result.bboxes.new_tensor([left, top, left, top])
        return kept

    def _join(self, tiles: InstanceList, meta: dict, rescale: bool) -> InstanceData:
        results = InstanceData.cat(tiles)
        height, width = meta['img_shape'][:2]  # tiles include the padding, boxes must not
        results.bboxes[:, 0::2].clamp_(0, width)
        results.bboxes[:, 1::2].clamp_(0, height)
        if rescale:
            results.bboxes = scale_boxes(results.bboxes, [1 / s for s in meta['scale_factor']])
        if not len(results) or len(tiles) == 1:  # of one tile's boxes, none is there twice
            return results
        boxes, keep = batched_nms(results.bboxes, results.scores, results.labels, self.test_cfg.nms)
        results = results[keep]
        results.scores = boxes[:, -1]
        return results[:self.test_cfg.max_per_img]
