"""Images whose file is decoded when their pixels are asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Sample = dict[str, Any]


class DeferredImage:
    """Stands for the ``img`` of a sample until somebody needs it: ``np.asarray`` decodes the file.

    Decoding takes most of a sample's time, and of some images a mosaic shows nothing. Nothing is kept: each
    ``np.asarray`` decodes again.

    Args:
        load: gives a record its ``img``, such as :class:`mmleuk.transforms.LoadImage`.
        record: what it needs, with the image's ``height`` and ``width`` in pixels; it isn't changed.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, load: Callable[[Sample], Sample], record: Sample) -> None:
        self.shape = (record['height'], record['width'], 3)
        self._load = load
        self._record = record

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """The pixels (H, W, 3) uint8, BGR.

        Raises:
            UserError: the file is missing or broken, or its size isn't the record's.
        """
        pixels: np.ndarray = self._load(dict(self._record))['img']
        return pixels if dtype is None else pixels.astype(dtype, copy=False)


def decoded(sample: Sample) -> Sample:
    """A sample with its pixels, and so those in its ``mix_results``; itself if nothing was deferred."""
    found: Sample = {}
    if isinstance(sample.get('img'), DeferredImage):
        found['img'] = np.asarray(sample['img'])
    if 'mix_results' in sample:
        found['mix_results'] = [decoded(part) for part in sample['mix_results']]
    return sample | found if found else sample
