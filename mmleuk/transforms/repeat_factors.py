"""How often an image should be drawn so that rare types are seen more often.

Legend: I images, C classes.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def cells_per_image(dataset: Any) -> np.ndarray:
    """Labelled cells of each type in each image: (I, C) int64. In a sparse data set those lie in annotated regions.

    Args:
        dataset: with ``metainfo['classes']``, and ``get_data_info(index)['instances']`` as MMDetection's data sets
            have it. Ignored cells don't count.
    """
    counts = np.zeros((len(dataset), len(dataset.metainfo['classes'])), np.int64)
    for index, row in enumerate(counts):
        for cell in dataset.get_data_info(index)['instances']:
            row[cell['bbox_label']] += not cell['ignore_flag']
    return counts


def repeat_factors(counts: np.ndarray, threshold: float) -> np.ndarray:
    """Repeat factor of each image, 1 or more: (I,) float64.

    A type in a share f of all images has the factor max(1, sqrt(threshold / f)), an image that of its rarest type.

    Args:
        counts: (I, C) labelled cells of each type in each image.
        threshold: in [0, 1]; types in fewer images than this share are drawn more often.

    Source: Gupta et al. 2019 (LVIS), repeat factor sampling; ``oversample_thr`` of MMEngine's ClassBalancedDataset.

    Example:
        >>> repeat_factors(np.array([[3, 0], [1, 0], [2, 0], [1, 1]]), 1.0).tolist()
        [1.0, 1.0, 1.0, 2.0]
    """
    present = counts > 0
    share = present.mean(0) if len(counts) else np.zeros(counts.shape[1])
    of_types = np.sqrt(np.maximum(threshold / np.where(share > 0, share, 1.0), 1.0))
    factors: np.ndarray = np.where(present, of_types, 1.0).max(1, initial=1.0)
    return factors
