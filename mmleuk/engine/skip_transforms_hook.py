"""Augmentations that stop, or become rarer, before training ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmleuk.engine.epochs import warn_if_never
from mmleuk.errors import UserError
from mmleuk.registry import HOOKS


@HOOKS.register_module()
class SkipTransformsHook(Hook):
    """From an epoch on, leave out transforms of the training set's ``MultiImageMixDataset`` (YOLO's "close mosaic").

    mmdet's YOLOXModeSwitchHook does the same, but also switches on a loss that only YOLOX has.

    Args:
        transforms: their ``type`` as in the config.
        first_epoch: the first epoch without them, counted from 1.
        keep: share of their samples that still get them, for transforms with a ``prob``; 0 leaves them out.

    Raises:
        UserError: the training set is no ``MultiImageMixDataset``, or has no such transform in its own pipeline.
    """

    def __init__(self, *, transforms: Sequence[str], first_epoch: int, keep: float = 0.0) -> None:
        if first_epoch < 1 or not transforms or isinstance(transforms, str) or not 0 <= keep < 1:
            raise UserError('SkipTransformsHook needs a list of transforms, a first_epoch from 1 on and keep in '
                            f'[0, 1), got {transforms!r}, {first_epoch} and {keep}')
        self.transforms = list(transforms)
        self.first_epoch = first_epoch
        self.keep = keep
        self._skipping = False

    def before_train(self, runner: Runner) -> None:
        """Check that the transforms exist; warn if they never stop."""
        warn_if_never(runner, 'SkipTransformsHook: first_epoch', self.first_epoch)
        dataset = runner.train_dataloader.dataset
        known = list(getattr(dataset, 'pipeline_types', []))
        missing = [name for name in self.transforms if name not in known]
        if missing or not hasattr(dataset, 'update_skip_type_keys'):
            raise UserError(f'SkipTransformsHook: {missing or self.transforms} must stand in the pipeline of a '
                            f'MultiImageMixDataset; the training set is a {type(dataset).__name__} with {known}')
        fixed = [name for name, transform in self._named(dataset)
                 if not isinstance(getattr(transform, 'prob', None), (int, float))]
        if self.keep and fixed:
            raise UserError(f'SkipTransformsHook: {", ".join(fixed)} has no prob, or several, so no share of it can be '
                            'kept; leave keep out')

    def before_train_epoch(self, runner: Runner) -> None:
        """Leave them out from ``first_epoch`` on, in the loader's processes as well; also after resuming."""
        loader = runner.train_dataloader
        if self._skipping or runner.epoch + 1 < self.first_epoch:
            return
        self._skipping = True
        if self.keep:
            for _, transform in self._named(loader.dataset):
                transform.prob *= self.keep
        else:
            loader.dataset.update_skip_type_keys(self.transforms)
        loader._iterator = None  # persistent workers hold the old pipeline; new workers get this one
        how = f'with {self.keep:g} of' if self.keep else 'without'
        runner.logger.info(f'from epoch {runner.epoch + 1} on {how} {", ".join(self.transforms)}')

    def _named(self, dataset: Any) -> list[tuple[str, Any]]:
        """The transforms in question with their types."""
        return [(name, transform) for name, transform in zip(dataset.pipeline_types, dataset.pipeline)
                if name in self.transforms]
