"""Randomness as a function of (seed, epoch, rank), so a resumed run repeats the uninterrupted one."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import Tensor

from mmleuk.registry import HOOKS


def seed_everything(*entropy: int, cuda: bool = True) -> None:
    """Seed python, numpy and torch from a tuple of non-negative integers, well mixed."""
    words = np.random.SeedSequence(entropy).generate_state(6)
    random.seed(int(words[0]))
    np.random.seed(words[1:4])
    torch_seed = int(words[4]) << 32 | int(words[5])
    if cuda:
        torch.manual_seed(torch_seed)
    else:
        torch.default_generator.manual_seed(torch_seed)


class SeededFetch:
    """Fetch a batch's samples, each with randomness of its own: a function of (seed, epoch, batch, index in the batch).

    torch's fetcher calls a data set's ``__getitems__`` when there is one, in the main process and in workers alike.
    The epoch lies in shared memory: persistent workers (``persistent_workers``) see the new
    value. Their own random state would continue from the previous epoch and be lost in a resumed run. The caller's
    random state stays unchanged, so the number of workers doesn't matter either.
    """

    def __init__(self, dataset: Any, seed: int, epoch: Tensor) -> None:
        self.dataset = dataset
        self.seed = seed
        self.epoch = epoch

    def __call__(self, indices: Sequence[int]) -> list:
        """Load a batch, each sample with a seed of its own, and restore the generators."""
        states = random.getstate(), np.random.get_state(), torch.get_rng_state()
        batch = []
        for position, index in enumerate(indices):
            seed_everything(self.seed, int(self.epoch), position, *(int(i) for i in indices), cuda=False)
            batch.append(self.dataset[index])
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        return batch


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Make augmentation, shuffling and the model's randomness depend on (seed, epoch, rank) alone.

    mmengine saves no random state, seeds its workers the same way in every epoch, and persistent workers
    keep their state. With this hook a run that is resumed from the end of an epoch gets the same random numbers as the
    uninterrupted run, for any ``num_workers`` and ``persistent_workers``, even if the two runs differ in these.

    Epoch-based training only: iteration-based runs have no epochs, so they stay unchanged.

    Example config: ``custom_hooks = [dict(type='mmleuk.EpochSeedHook')]`` with ``randomness = dict(seed=0)``.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner: Runner) -> None:
        """Give the training data set the seeded fetch (workers have not started yet)."""
        self._active = isinstance(runner.train_loop, EpochBasedTrainLoop)
        if not self._active:
            return
        self._seed = abs(int(runner.seed))
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        dataset = runner.train_dataloader.dataset
        dataset.__getitems__ = SeededFetch(dataset, self._seed, self._epoch)

    def before_train_epoch(self, runner: Runner) -> None:
        """Set the epoch for the workers; seed samplers that shuffle with the global generator."""
        if self._active:
            self._epoch.fill_(runner.epoch)
            seed_everything(self._seed, runner.epoch, get_rank())

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Seed the model's randomness after the loader has used the generator (new and persistent workers differ)."""
        if self._active and batch_idx == 0:
            seed_everything(self._seed, runner.epoch, get_rank(), 1)
