"""Changes of a part of an image with its cells, as DACA makes them."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness

from mmleuk.errors import UserError
from mmleuk.registry import TRANSFORMS
from mmleuk.structures import clip_regions
from mmleuk.transforms.masks import refuse_masks
from mmleuk.transforms.selection import select_cells


@TRANSFORMS.register_module()
class CropAroundCells(BaseTransform):
    """Crop an image at random so that its cells stay in it, up to a part of their common frame.

    A cell that lies wholly in that part is dropped.

    Args:
        erosion: the crop contains at least the cells' common frame, made narrower by this share at each side.
        prob: probability that the image is cropped. Images without cells aren't.

    Raises:
        UserError: an argument is out of range, or the results hold masks.
    """

    def __init__(self, *, erosion: float = 0.1, prob: float = 0.2) -> None:
        if not 0 <= erosion < 0.5 or not 0 <= prob <= 1:
            raise UserError(f'CropAroundCells: erosion lies in [0, 0.5), prob in [0, 1]; got {erosion} and {prob}')
        self.erosion = erosion
        self.prob = prob

    @cache_randomness
    def _draw(self) -> tuple[bool, np.ndarray]:
        return bool(np.random.rand() < self.prob), np.random.rand(4)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Crop ``img`` and move ``gt_bboxes`` and their regions."""
        happens, draws = self._draw()
        if not happens or not len(results['gt_bboxes']):
            return results
        refuse_masks(results, 'CropAroundCells')
        height, width = results['img'].shape[:2]
        frame = results['gt_bboxes'].tensor.numpy()
        low, high = frame[:, :2].min(0), frame[:, 2:].max(0)
        inset = (high - low) * self.erosion
        low, high = np.maximum(low + inset, 0), np.minimum(high - inset, (width, height))
        x1, y1 = np.floor(draws[:2] * low).astype(int)
        x2, y2 = np.ceil(high + draws[2:] * ((width, height) - high)).astype(int)
        boxes = results['gt_bboxes'].clone()
        boxes.translate_((-int(x1), -int(y1)))
        boxes.regions = clip_regions(boxes.regions, (int(y2 - y1), int(x2 - x1)))
        boxes.clip_((int(y2 - y1), int(x2 - x1)))
        results |= dict(img=results['img'][y1:y2, x1:x2], img_shape=(int(y2 - y1), int(x2 - x1)), gt_bboxes=boxes)
        select_cells(results, (boxes.tensor[:, 2:] > boxes.tensor[:, :2]).all(1))
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(erosion={self.erosion}, prob={self.prob})'
