"""Augmentations that stop before training does."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmleuk.errors import UserError
from mmleuk.registry import HOOKS


@HOOKS.register_module()
class SkipTransformsHook(Hook):
    """From an epoch on, leave out transforms of the training set's ``MultiImageMixDataset`` (YOLO's "close mosaic").

    mmdet's YOLOXModeSwitchHook does the same and switches a loss on, which is YOLOX's alone.

    Args:
        transforms: their ``type`` as in the config.
        first_epoch: the first epoch without them, counted from 1.

    Raises:
        UserError: the training set is no ``MultiImageMixDataset``, or has no such transform in its own pipeline.
    """

    def __init__(self, *, transforms: Sequence[str], first_epoch: int) -> None:
        if first_epoch < 1 or not transforms or isinstance(transforms, str):
            raise UserError('SkipTransformsHook needs a list of transforms and a first_epoch from 1 on, got '
                            f'{transforms!r} and {first_epoch}')
        self.transforms = list(transforms)
        self.first_epoch = first_epoch
        self._skipping = False

    def before_train(self, runner: Runner) -> None:
        """See that they are there."""
        dataset = runner.train_dataloader.dataset
        known = list(getattr(dataset, 'pipeline_types', []))
        missing = [name for name in self.transforms if name not in known]
        if missing or not hasattr(dataset, 'update_skip_type_keys'):
            raise UserError(f'SkipTransformsHook: {missing or self.transforms} must stand in the pipeline of a '
                            f'MultiImageMixDataset; the training set is a {type(dataset).__name__} with {known}')

    def before_train_epoch(self, runner: Runner) -> None:
        """Leave them out when their time is over, in loaders' processes as well; also after resuming."""
        loader = runner.train_dataloader
        if self._skipping or runner.epoch + 1 < self.first_epoch:
            return
        self._skipping = True
        loader.dataset.update_skip_type_keys(self.transforms)
        loader._iterator = None  # persistent workers hold the pipeline as it was; new ones get this one
        runner.logger.info(f'from epoch {runner.epoch + 1} on without {", ".join(self.transforms)}')
