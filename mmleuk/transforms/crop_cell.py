"""A single cell cut out of its image."""

from __future__ import annotations

from functools import partial
from typing import Any

import mmcv
import numpy as np
from mmcv.transforms import BaseTransform

from mmleuk.errors import UserError
from mmleuk.registry import TRANSFORMS
from mmleuk.structures import clip_regions
from mmleuk.structures.cell_parts import UNKNOWN
from mmleuk.transforms.masks import move_masks, paste


@TRANSFORMS.register_module()
class CropCell(BaseTransform):
    """Crop the image to a square around its one box, and scale that to ``size`` x ``size``.

    For the samples of :class:`mmleuk.CellCropDataset` that come from larger images. It does the scaling itself, so
    :func:`cells_moved` stays False: the sample shows only this cell.

    Args:
        size: side of the result in pixels.
        margin: margin on each side of the box, as a share of its longer side, >= 0.
        pad_val: grey value outside the image.

    Raises:
        UserError: the image doesn't have exactly one box.
    """

    def __init__(self, *, size: int, margin: float = 0.15, pad_val: int = 114) -> None:
        if size < 1 or margin < 0:
            raise UserError(f'CropCell: needs size >= 1 and margin >= 0, got {size} and {margin}')
        self.size, self.margin, self.pad_val = size, margin, pad_val

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace ``img``, ``img_shape``, the box and the masks; the square is rounded to whole pixels."""
        image, boxes = results['img'], results['gt_bboxes'].clone()
        if len(boxes) != 1:
            raise UserError(f'CropCell: {results.get("img_path")} has {len(boxes)} boxes; it cuts out the one cell of '
                            'a sample of mmleuk.CellCropDataset')
        x1, y1, x2, y2 = boxes.tensor[0].tolist()
        side = max(round(max(x2 - x1, y2 - y1) * (1 + 2 * self.margin)), 1)
        left, top = round((x1 + x2 - side) / 2), round((y1 + y2 - side) / 2)
        crop = np.full((side, side, *image.shape[2:]), self.pad_val, dtype=image.dtype)
        shown = image[max(top, 0):top + side, max(left, 0):left + side]
        rows, columns = max(-top, 0), max(-left, 0)
        crop[rows:rows + shown.shape[0], columns:columns + shown.shape[1]] = shown
        boxes.translate_((-left, -top))
        boxes.regions = clip_regions(boxes.regions, (side, side))
        boxes.rescale_((self.size / side, self.size / side))
        crop = mmcv.imresize(crop, (self.size, self.size), interpolation='area' if side > self.size else 'bilinear')
        to = slice(rows, rows + shown.shape[0]), slice(columns, columns + shown.shape[1])
        of = slice(max(top, 0), max(top + side, 0)), slice(max(left, 0), max(left + side, 0))
        cells = {key: value for key, value in results.items() if key != 'gt_seg_map'}
        masks: dict[str, Any] = move_masks(cells, partial(paste, canvas_hw=(side, side), to=to, of=of))
        if masks:
            masks = dict(gt_masks=masks['gt_masks'].resize((self.size, self.size)))
        if 'gt_seg_map' in results:
            parts = np.full((side, side), UNKNOWN, np.uint8)
            parts[to] = results['gt_seg_map'][of]
            masks = masks | dict(gt_seg_map=mmcv.imresize(parts, (self.size, self.size), interpolation='nearest'))
        return results | masks | dict(img=crop, img_shape=(self.size, self.size), gt_bboxes=boxes)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(size={self.size}, margin={self.margin}, pad_val={self.pad_val})'
