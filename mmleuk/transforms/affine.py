"""YOLOv5's random affine transform, for boxes and regions.

Legend: N boxes.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
from mmcv.transforms.utils import cache_randomness
from mmdet.datasets.transforms import RandomAffine as MMDetRandomAffine

from mmleuk.registry import TRANSFORMS
from mmleuk.transforms.masks import move_masks
from mmleuk.transforms.selection import select_cells

TO_EDGE = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
TO_CENTRE = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
"""Boxes count from the image's edge, where pixel 0 has its centre at 0.5; OpenCV counts from pixel 0's centre."""


@TRANSFORMS.register_module()
class RandomAffine(MMDetRandomAffine):
    """Scale, shift, turn and shear about the image's centre.

    It differs from MMDetection's in four ways. The fixed point is the image's centre, not its upper left corner.
    Regions also move in images without boxes. Small rests of boxes are dropped by YOLOv5's rules. Pixels and boxes
    agree to
    the half pixel.

    Args:
        max_rotate_degree: turn in [-d, d] degrees.
        max_translate_ratio: shift in [-r, r] of the output's width and height.
        scaling_ratio_range: bounds of the scale.
        max_shear_degree: shear in [-d, d] degrees.
        border: (x, y) pixels added on each side of the output; (-s / 2, -s / 2) after a mosaic of 2s x 2s.
        border_val: colour outside the image.
        min_side: a box is kept if both sides exceed this, in pixels after clipping,
        min_area_ratio: and its area exceeds this share of its unclipped scaled area,
        max_aspect_ratio: and its longer side is less than this many times its shorter one.

    Source: YOLOv5 release 6 (``hyp.scratch``: degrees 0, translate 0.1, scale 0.5, shear 0), written from its
    description.
    """

    rejects = False

    def __init__(self, *, max_rotate_degree: float = 0.0, max_translate_ratio: float = 0.1,
                 scaling_ratio_range: tuple[float, float] = (0.5, 1.5), max_shear_degree: float = 0.0,
                 border: tuple[int, int] = (0, 0), border_val: tuple[int, int, int] = (114, 114, 114),
                 min_side: float = 2.0, min_area_ratio: float = 0.1, max_aspect_ratio: float = 100.0) -> None:
        super().__init__(max_rotate_degree, max_translate_ratio, scaling_ratio_range, max_shear_degree, border,
                         border_val)
        self.min_side = min_side
        self.min_area_ratio = min_area_ratio
        self.max_aspect_ratio = max_aspect_ratio

    @cache_randomness
    def _get_random_homography_matrix(self, height: int, width: int) -> np.ndarray:
        """Matrix (3, 3) for an output of this size: MMDetection's, with the centres of input and output as origins."""
        about_corner = super()._get_random_homography_matrix(height, width)
        centre = self._get_translation_matrix(self.border[0] - width / 2, self.border[1] - height / 2)
        back = self._get_translation_matrix(width / 2, height / 2)
        return back @ about_corner @ centre

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Move image, boxes, regions and masks; the input's box object stays unchanged.

        ``homography_matrix`` (3, 3) float64 is the way from the file's pixels, as MMDetection's transforms record it.
        """
        height = results['img'].shape[0] + self.border[1] * 2
        width = results['img'].shape[1] + self.border[0] * 2
        matrix = self._get_random_homography_matrix(height, width).astype(np.float64)
        results['img'] = warp(results['img'], matrix, (width, height), self.border_val)
        results |= move_masks(results, lambda masks: np.stack([
            warp(mask, matrix, (width, height), 0, cv2.INTER_NEAREST) for mask in masks
        ]) if len(masks) else np.zeros((0, height, width), np.uint8))
        self.move_cells(results, matrix, (height, width))
        return results

    def move_cells(self, results: dict[str, Any], matrix: np.ndarray, size_hw: tuple[int, int]) -> None:
        """Move boxes and regions by (3, 3), and keep the cells that an output of ``size_hw`` still shows."""
        before = results.get('homography_matrix')
        results['homography_matrix'] = matrix if before is None else matrix @ before
        results['img_shape'] = size_hw
        boxes = results['gt_bboxes'].clone()
        scaled_areas = boxes.areas * abs(matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0])
        boxes.project_(matrix)
        boxes.clip_(size_hw)
        results['gt_bboxes'] = boxes
        sides = (boxes.tensor[:, 2:] - boxes.tensor[:, :2]).numpy()  # NumPy's steps on a few numbers cost half
        keep = self._worth_keeping(sides, scaled_areas.numpy())
        if 'gt_ignore_flags' in results:  # even a small visible part of an ignored box is not background
            keep |= results['gt_ignore_flags'] & (sides > 0).all(1)
        select_cells(results, torch.from_numpy(keep))

    def _worth_keeping(self, sides: np.ndarray, scaled_areas: np.ndarray) -> np.ndarray:
        """(N,) bool of boxes with visible sides (N, 2) and whole areas (N,)."""
        shorter, longer = np.minimum(*sides.T), np.maximum(*sides.T)
        big = shorter > self.min_side
        whole = shorter * longer > self.min_area_ratio * scaled_areas
        return np.asarray(big & whole & (longer < self.max_aspect_ratio * shorter))


def warp(image: np.ndarray, matrix: np.ndarray, size_wh: tuple[int, int], border_val: tuple[int, ...] | int,
         flags: int = cv2.INTER_LINEAR, border: int = cv2.BORDER_CONSTANT) -> np.ndarray:
    """An image (H, W, ...) moved by (3, 3) in our pixels, as (height, width, ...) of ``size_wh``."""
    return cv2.warpAffine(image, (TO_CENTRE @ matrix @ TO_EDGE)[:2], size_wh, flags=flags, borderMode=border,
                          borderValue=border_val)
