"""Samples made of several images, without copies of their pixels."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
from mmdet.datasets import MultiImageMixDataset as MMDetMultiImageMixDataset
from mmdet.datasets.transforms import Pad, RandomFlip, Resize
from mmengine.dataset import BaseDataset

from mmleuk.registry import DATASETS
from mmleuk.transforms import LoadCellAnnotations, LoadImage
from mmleuk.utils.deferred_image import DeferredImage, decoded

NEVER_REJECT = (Pad, RandomFlip, Resize)
"""MMDetection's transforms that never return None."""
_PIXELS = ('img', 'gt_seg_map')
_CONSTANT = (str, int, float, bool, type(None), bytes)
Sample = dict[str, Any]


@DATASETS.register_module()
class MultiImageMixDataset(MMDetMultiImageMixDataset):
    """MMDetection's, with the same samples to the last bit, in less time.

    MMDetection's copies every loaded image, and the whole sample again before each transform, in case that the
    transform changes it and then rejects it. Here nothing is copied for a transform that never rejects: one of
    :data:`NEVER_REJECT`, or with ``rejects = False``. For others boxes and all other values are copied, pixels aren't.
    A transform of yours that writes into ``img`` and then returns None, or a data set that returns the same objects
    twice, needs MMDetection's class.

    A transform with a method ``prepare`` is called with the data set once, before the first sample. One with
    ``reads_deferred = True`` may get each ``img`` as a :class:`DeferredImage`, and decodes only what it shows.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for transform in self.pipeline:
            if hasattr(transform, 'prepare'):
                transform.prepare(self.dataset)
        self.defers = can_defer(self.dataset) and any(getattr(transform, 'reads_deferred', False)
                                                      for transform in self.pipeline)

    def __getitem__(self, index: int) -> Sample:
        """One sample after the whole pipeline.

        Raises:
            RuntimeError: the loading pipeline, or a transform, returned None ``max_refetch`` times.
        """
        sample = self._load(index)
        for transform, name in zip(self.pipeline, self.pipeline_types):
            if name in (self._skip_type_keys or ()):
                continue
            if hasattr(transform, 'get_indexes'):
                sample = sample | dict(mix_results=self._further(transform))
            if not getattr(transform, 'reads_deferred', False):
                sample = decoded(sample)
            sample = self._transformed(transform, sample)
            sample.pop('mix_results', None)
        return decoded(sample)

    def _load(self, index: int) -> Sample:
        """A sample of the data set, if possible with a deferred image."""
        if self.defers:
            load_image, load_cells = self.dataset.pipeline.transforms
            record = self.dataset.get_data_info(index)
            image = DeferredImage(load_image, record)
            size = image.shape[:2]
            deferred: Sample = load_cells(record | dict(img=image, img_shape=size, ori_shape=size))
            return deferred
        loaded: Sample = self.dataset[index]
        return loaded

    def _further(self, transform: Any) -> list[Sample]:
        """The images that a transform asks for."""
        for _ in range(self.max_refetch):
            indexes = transform.get_indexes(self.dataset)
            indexes = indexes if isinstance(indexes, (list, tuple)) else [indexes]
            samples = [self._load(index) for index in indexes]
            if all(sample is not None for sample in samples):
                return samples
        raise RuntimeError(f'{type(transform).__name__} got no images: loading returned None {self.max_refetch} times')

    def _transformed(self, transform: Any, sample: Sample) -> Sample:
        if type(transform) in NEVER_REJECT or not getattr(transform, 'rejects', True):
            mixed: Sample = transform(sample)
            return mixed
        for _ in range(self.max_refetch):
            changed: Sample | None = transform(copy_but_pixels(sample))
            if changed is not None:
                return changed
        raise RuntimeError(f'{type(transform).__name__} returned None {self.max_refetch} times for one sample')


def can_defer(dataset: Any) -> bool:
    """Whether a data set's samples can be had without pixels.

    They can if its pipeline is a :class:`LoadImage` of uint8 colours and a :class:`LoadCellAnnotations`, and if it is
    applied as mmengine does.
    """
    steps = getattr(getattr(dataset, 'pipeline', None), 'transforms', [])
    if [type(step) for step in steps] != [LoadImage, LoadCellAnnotations] or not isinstance(dataset, BaseDataset):
        return False
    kind, load_image = type(dataset), steps[0]
    as_mmengine = (kind.__getitem__, kind.prepare_data) == (BaseDataset.__getitem__, BaseDataset.prepare_data)
    return as_mmengine and load_image.color_type == 'color' and not load_image.to_float32


def copy_but_pixels(sample: Sample) -> Sample:
    """A deep copy of a sample and those in its ``mix_results``, whose images are the same arrays."""
    parts = (sample, *sample.get('mix_results', ()))
    pixels = [part[key] for part in parts for key in _PIXELS if isinstance(part.get(key), np.ndarray)]
    return _copied(sample, {id(array): array for array in pixels})


def _copied(sample: Sample, memo: dict[int, Any]) -> Sample:
    """A deep copy in a third of deepcopy's time: most values of a sample are constants."""
    copied: Sample = {}
    for key, value in sample.items():
        if _is_constant(value):
            copied[key] = value
        elif key == 'mix_results':
            copied[key] = [_copied(part, memo) for part in value]
        else:
            copied[key] = deepcopy(value, memo)
    return copied


def _is_constant(value: Any) -> bool:
    return isinstance(value, _CONSTANT) or type(value) is tuple and all(map(_is_constant, value))
