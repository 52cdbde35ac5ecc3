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
    they stopped, and start again when they are through. A resumed training goes on there, too: MMEngine tells the
    sampler the epoch.

    Args: those of MultiSourceSampler; ``batch_size`` is that of the data loader.
    """

    def __iter__(self) -> Iterator[int]:
        return islice(super().__iter__(), len(self))

    def __len__(self) -> int:
        return self._batches * self.batch_size

    @property
    def _batches(self) -> int:
        """Of an epoch, in each process."""
        per_process = len(self.dataset.datasets[0]) // self.world_size
        return per_process // self.num_per_source[0]

    def set_epoch(self, epoch: int) -> None:
        """Go to the start of an epoch, from 0: each data set to where all epochs before it leave it."""
        self.source2inds = {
            source: islice(self._indices_of_rank(len(data)), epoch * self._batches * number, None)
            for source, (data, number) in enumerate(zip(self.dataset.datasets, self.num_per_source))}
