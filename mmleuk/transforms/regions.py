"""The two simple baselines for sparse annotation: they use only the annotated regions.

Both change training images and belong in a training pipeline only; testing uses whole images.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from torch import Tensor

from mmleuk.registry import TRANSFORMS
from mmleuk.transforms.masks import move_masks
from mmleuk.transforms.selection import cells_in_sight, select_cells


def pixel_window(region_xyxy: Tensor, image_hw: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of the pixels whose centres lie in a region (4,); empty slices if there are none.

    Example:
        >>> import torch
        >>> pixel_window(torch.tensor([0.4, 1., 2.6, 9.]), (5, 5))
        (slice(1, 5, None), slice(0, 3, None))
    """
    x1, y1, x2, y2 = (math.ceil(edge - 0.5) for edge in region_xyxy.tolist())
    return slice(max(y1, 0), min(y2, image_hw[0])), slice(max(x1, 0), min(x2, image_hw[1]))


@TRANSFORMS.register_module()
class BlankOutsideRegions(BaseTransform):
    """Paint everything outside the annotated regions, and drop cells whose centre lies there.

    Ignored boxes stay if they overlap a region. No unlabelled cell is visible afterwards, so the whole image counts as
    known.

    Args:
        pad_val: grey value outside.

    Source: LLD, section 5.2, baseline (b).
    """

    def __init__(self, *, pad_val: int = 114) -> None:
        self.pad_val = pad_val

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace ``img`` and the boxes."""
        image, boxes = results['img'], results['gt_bboxes'].clone()
        inside = cells_in_sight(results, boxes, boxes.regions)
        blanked = np.full_like(image, self.pad_val)
        known = np.zeros(image.shape[:2], np.uint8)
        for region in boxes.regions:
            window = pixel_window(region, image.shape[:2])
            blanked[window], known[window] = image[window], 1
        results |= move_masks(results, lambda masks: masks * known)
        boxes.regions = boxes.regions.new_tensor([[0, 0, image.shape[1], image.shape[0]]])
        results['img'] = blanked
        results['gt_bboxes'] = boxes
        select_cells(results, inside)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(pad_val={self.pad_val})'


@TRANSFORMS.register_module()
class CropToRegion(BaseTransform):
    """Crop the image to one annotated region, a random one if there are several.

    Cells whose centre lies in it are kept and clipped, ignored boxes if they overlap it. An image without regions gives
    None, and the data set draws another one.

    Source: LLD, section 5.2, baseline (a).
    """

    @cache_randomness
    def _draw(self, count: int) -> int:
        return int(np.random.randint(count)) if count > 1 else 0

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Replace ``img``, ``img_shape`` and the boxes; None if there is no region to crop."""
        boxes = results['gt_bboxes'].clone()
        windows = [pixel_window(region, results['img'].shape[:2]) for region in boxes.regions]
        usable = [i for i, (rows, columns) in enumerate(windows)
                  if rows.start < rows.stop and columns.start < columns.stop]
        if not usable:
            return None
        chosen = usable[self._draw(len(usable))]
        rows, columns = windows[chosen]
        inside = cells_in_sight(results, boxes, boxes.regions[[chosen]])
        image = np.ascontiguousarray(results['img'][rows, columns])
        boxes.translate_((-columns.start, -rows.start))
        boxes.clip_(image.shape[:2])
        results.update(img=image, img_shape=image.shape[:2], gt_bboxes=boxes)
        results |= move_masks(results, lambda masks: masks[:, rows, columns])
        select_cells(results, inside)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
