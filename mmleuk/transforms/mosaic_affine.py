"""A mosaic and its affine transform in one step.

Legend: N cells, R regions.
"""

from __future__ import annotations

from math import ceil
from typing import Any

import cv2
import numpy as np

from mmleuk.registry import TRANSFORMS
from mmleuk.structures import CellBoxes
from mmleuk.structures.cell_boxes import Pair
from mmleuk.transforms.affine import RandomAffine, warp
from mmleuk.transforms.fitting import fitted_size
from mmleuk.transforms.masks import refuse_part_mask
from mmleuk.transforms.mixing import QUARTERS, Mosaic
from mmleuk.transforms.selection import CELL_KEYS
from mmleuk.utils.deferred_image import DeferredImage, decoded


@TRANSFORMS.register_module()
class MosaicAffine(RandomAffine):
    """Four images around a random point, then scaled and shifted: :class:`Mosaic` and :class:`RandomAffine` in one.

    The two make four scaled images, then a canvas of four times the output's area, of which the output shows a part.
    Here each pixel of the output comes straight from its file's pixels, in one interpolation, so the same cells, boxes
    and regions take less time. Pixels differ from those of the two steps by what the first interpolation blurs. With
    a turn or shear, or with masks, the two steps are done.

    Args:
        img_scale: (width, height) of the output; every image is scaled to fit it before the affine transform.
        center_ratio_range: bounds of the point where the images meet, in units of ``img_scale``.
        pad_val: grey value where no image is.
        affine: arguments of :class:`RandomAffine`, except for ``border`` and ``border_val``.

    In the pipeline of a ``MultiImageMixDataset`` it takes three further images. Of a :class:`DeferredImage` the file
    is decoded only if the output shows a part of it.
    """

    reads_deferred = True

    def __init__(self, *, img_scale: tuple[int, int] = (640, 640), center_ratio_range: Pair = (0.5, 1.5),
                 pad_val: int = 114, **affine: Any) -> None:
        width, height = img_scale
        super().__init__(border=(-(width // 2), -(height // 2)), border_val=(pad_val,) * 3, **affine)
        self.mosaic = Mosaic(img_scale=img_scale, center_ratio_range=center_ratio_range, pad_val=pad_val)

    def get_indexes(self, dataset: Any) -> list[int]:
        """Three further images."""
        indexes: list[int] = self.mosaic.get_indexes(dataset)
        return indexes

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Results with three more in ``mix_results`` to one of ``img_scale``; the parts stay unchanged."""
        refuse_part_mask(results)
        if self.max_rotate_degree or self.max_shear_degree or 'gt_masks' in results:
            return super().transform(self.mosaic.transform(decoded(results)))
        width, height = self.mosaic.img_scale
        canvas_hw = 2 * height, 2 * width
        size_hw = canvas_hw[0] + 2 * self.border[1], canvas_hw[1] + 2 * self.border[0]
        _, *centre = self.mosaic._draw()
        matrix = self._get_random_homography_matrix(*size_hw).astype(np.float64)
        image = np.full((*size_hw, *results['img'].shape[2:]), self.mosaic.pad_val, dtype=results['img'].dtype)
        parts = [results, *results['mix_results']]
        placed = [self._draw_part(image, part['img'], quarter, centre, matrix) for quarter, part in
                  zip(QUARTERS, parts, strict=True)]
        boxes = CellBoxes.cat_moved([part['gt_bboxes'] for part in parts], *zip(*placed))
        boxes.clip_(canvas_hw)  # those outside become empty, and are dropped with the next ones
        mixed = results | dict(img=image, gt_bboxes=boxes)
        mixed |= {key: np.concatenate([part[key] for part in parts]) for key in CELL_KEYS}
        self.move_cells(mixed, matrix, size_hw)
        return mixed

    def _draw_part(self, image: np.ndarray, part: np.ndarray | DeferredImage, quarter: str, centre: list[int],
                   matrix: np.ndarray) -> tuple[Pair, Pair]:
        """Draw an image's part of the output (H, W, 3), which is the canvas moved by a scaling and shifting (3, 3).

        Returns:
            The scale (x, y) and then the shift of its pixels to those of the canvas.
        """
        height, width = part.shape[:2]
        new_wh = fitted_size((width, height), self.mosaic.img_scale)
        scale = new_wh[0] / width, new_wh[1] / height
        (x1, y1, x2, y2), (left, top, *_) = self.mosaic._mosaic_combine(quarter, centre, new_wh)
        shift = x1 - left, y1 - top
        columns = pixels_between(x1, x2, matrix[0], image.shape[1])
        rows = pixels_between(y1, y2, matrix[1, 1:], image.shape[0])
        if columns.start < columns.stop and rows.start < rows.stop:
            part_to_canvas = np.array([[scale[0], 0, shift[0]], [0, scale[1], shift[1]], [0, 0, 1]])
            to_output = matrix @ part_to_canvas - [[0, 0, columns.start], [0, 0, rows.start], [0, 0, 0]]
            size_wh = columns.stop - columns.start, rows.stop - rows.start
            image[rows, columns] = warp(np.asarray(part), to_output, size_wh, 0, border=cv2.BORDER_REPLICATE)
        return scale, shift

    def __repr__(self) -> str:
        return f'{type(self).__name__}(mosaic={self.mosaic}, affine={super().__repr__()})'


def pixels_between(low: float, high: float, row: np.ndarray, limit: int) -> slice:
    """Pixels, of ``limit``, whose centres lie in [low, high) after scaling by ``row[0]`` and shifting by ``row[-1]``.

    >>> pixels_between(0, 10, np.array([0.5, 1.2]), 100), pixels_between(-8, -4, np.array([1.0, 0.0]), 100)
    (slice(1, 6, None), slice(0, 0, None))
    """
    first, last = (min(max(ceil(row[0] * at + row[-1] - 0.5), 0), limit) for at in (low, high))
    return slice(first, last)
