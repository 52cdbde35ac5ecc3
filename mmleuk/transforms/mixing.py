"""Images made of several images.

Legend: R, S regions of the two images.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from mmcv.transforms.utils import cache_randomness
from mmdet.datasets.transforms import MixUp as MMDetMixUp
from mmdet.datasets.transforms import Mosaic as MMDetMosaic

from mmleuk.registry import TRANSFORMS
from mmleuk.structures import clip_regions, intersect_regions
from mmleuk.transforms.fitting import fit_picture
from mmleuk.transforms.masks import join_masks, move_masks, paste, refuse_masks
from mmleuk.transforms.selection import CELL_KEYS, select_cells

QUARTERS = ('top_left', 'top_right', 'bottom_left', 'bottom_right')


@TRANSFORMS.register_module()
class Mosaic(MMDetMosaic):
    """Four images around a random point; boxes and regions of all four move, each within its own quarter.

    MMDetection's Mosaic scales boxes by the exact ratio, but images to the next smaller whole pixel. So boxes and
    regions reach up to a pixel into the next quarter. It also makes seven unnecessary copies of images. Arguments are
    MMDetection's.
    """

    rejects = False

    @cache_randomness
    def _draw(self) -> tuple[float, int, int]:
        low, high = self.center_ratio_range
        chance, *shares = np.random.random_sample(3)
        x, y = (low + (high - low) * share for share in shares)
        return chance, int(x * self.img_scale[0]), int(y * self.img_scale[1])

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Results with three more in ``mix_results`` to one of twice ``img_scale``; the parts stay unchanged."""
        chance, *centre = self._draw()
        if chance > self.prob:
            return results
        size_hw = (2 * self.img_scale[1], 2 * self.img_scale[0])
        canvas = np.full((*size_hw, *results['img'].shape[2:]), self.pad_val, dtype=results['img'].dtype)
        placed = []
        for quarter, part in zip(QUARTERS, [results, *results['mix_results']], strict=True):
            fitted = fit_picture(part, self.img_scale)
            image = fitted['img']
            (x1, y1, x2, y2), (left, top, right, bottom) = self._mosaic_combine(quarter, centre, image.shape[1::-1])
            canvas[y1:y2, x1:x2] = image[top:bottom, left:right]
            fitted['gt_bboxes'].translate_((x1 - left, y1 - top))
            to, of = (slice(y1, y2), slice(x1, x2)), (slice(top, bottom), slice(left, right))
            placed.append(fitted | move_masks(fitted, partial(paste, canvas_hw=size_hw, to=to, of=of)))
        boxes = placed[0]['gt_bboxes'].cat([part['gt_bboxes'] for part in placed])
        inside = boxes.is_inside(size_hw)
        # Regions always end at the canvas: a later transform may move the area beyond it into the image.
        regions = clip_regions(boxes.regions, size_hw)
        if self.bbox_clip_border:
            boxes.clip_(size_hw)
        boxes.regions = regions
        mixed = results | dict(img=canvas, img_shape=size_hw, gt_bboxes=boxes) | join_masks(placed)
        mixed |= {key: np.concatenate([part[key] for part in placed]) for key in CELL_KEYS}
        select_cells(mixed, inside)
        return mixed


@TRANSFORMS.register_module()
class MixUp(MMDetMixUp):
    """Mean of two images. A pixel is known only if both images know it: at most R * S regions, the intersections.

    Raises:
        UserError: the results hold masks.
    """

    rejects = False

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Results with ``mix_results`` (one more); an image without cells isn't mixed in, as in MMDetection."""
        refuse_masks(results, 'MixUp')
        if len(results['mix_results'][0]['gt_bboxes']) == 0:
            return results
        own_count = len(results['gt_bboxes'].regions)
        mixed = super().transform(results)
        boxes = mixed['gt_bboxes']
        # MMDetection joins the two box objects: own regions first, then those moved with the other image.
        boxes.regions = intersect_regions(boxes.regions[:own_count], boxes.regions[own_count:])
        return mixed
