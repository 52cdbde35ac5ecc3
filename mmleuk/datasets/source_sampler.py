"""Batches with samples of several data sets, in epochs that end."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from mmdet.datasets.samplers import MultiSourceSampler

from mmleuk.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class EpochMultiSourceSampler(MultiSourceSampler):
    """MMDetection's MultiSourceSampler for a training in epochs: each ends once the first data set has been seen.

    MMDetection's own never ends, as training by iterations wants it. The other data sets go on in the next epoch where
    they stopped, and start again when they are through.

    Args: those of MultiSourceSampler; ``batch_size`` is that of the data loader.
    """

    def __iter__(self) -> Iterator[int]:
        return islice(super().__iter__(), len(self))

    def __len__(self) -> int:
        per_process = len(self.dataset.datasets[0]) // self.world_size
        return per_process // self.num_per_source[0] * self.batch_size
