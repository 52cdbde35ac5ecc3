"""Which images went worst.

Legend: I images, G cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmleuk.evaluation.detections import Detections
from mmleuk.evaluation.error_types import CORRECT, FALSE_TYPES, Errors
from mmleuk.evaluation.truth import GroundTruth


@dataclass(frozen=True)
class ImageCounts:
    """Counts by image, of detections of at least the lowest score.

    Args:
        cells: (I,) true cells, crowds left out.
        found: (I,) of these that a detection of their class found.
        false: (I, 5) false detections by FALSE_TYPES.
    """

    cells: NDArray[np.int64]
    found: NDArray[np.int64]
    false: NDArray[np.int64]

    @property
    def not_found(self) -> NDArray[np.int64]:
        """(I,) cells that no detection of their class found."""
        return self.cells - self.found

    @property
    def f1(self) -> NDArray[np.float64]:
        """(I,) found cells' harmonic mean of precision and recall; NaN where there is nothing and nothing was found."""
        total = self.cells + self.found + self.false.sum(1)
        return np.divide(2 * self.found, total, out=np.full(len(total), np.nan), where=total > 0)

    def worst(self, limit: int) -> NDArray[np.int64]:
        """Images with errors, the lowest F1 first; of equals the one with more errors, then the earlier one."""
        mistakes = self.not_found + self.false.sum(1)
        order = np.lexsort((-mistakes, self.f1))
        return order[mistakes[order] > 0][:limit]


def count_images(errors: Errors, detections: Detections, truth: GroundTruth) -> ImageCounts:
    """Cells, hits and errors of every image."""
    n_images = len(truth.images)

    def per_image(chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.bincount(detections.image_of[chosen], minlength=n_images)

    return ImageCounts(cells=np.bincount(truth.image_of[~truth.crowd], minlength=n_images),
                       found=per_image(errors.types == CORRECT),
                       false=np.stack([per_image(errors.types == place) for place in range(len(FALSE_TYPES))], 1))
