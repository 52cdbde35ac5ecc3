"""Schedule and log of mined labels."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmleuk.engine.epochs import warn_if_never
from mmleuk.errors import UserError
from mmleuk.models.detectors.co_mining import NOTHING_MINED, CoMining, MinedCounts
from mmleuk.models.detectors.teacher import require_teacher
from mmleuk.registry import HOOKS


@HOOKS.register_module()
class CoMiningHook(Hook):
    """Logs what labels the two views of :class:`mmleuk.CoMining` or :class:`mmleuk.CoStudent` find, and starts it.

    During training ``pseudo/...`` scalars show, as means over the epoch so far: labels found per image (of either view:
    an image counts twice), detections dropped since they show a labelled cell, and the found ones' mean score.

    Args:
        start_epoch: the first epoch with mined labels, counted from 1. The originals start at once, but from COCO
            weights; from random ones the first labels may be wrong and confirm each other.

    Raises:
        UserError: the model mines no labels, it learns from a teacher and has none, or ``start_epoch`` is below 1.
    """

    priority = 'NORMAL'

    def __init__(self, *, start_epoch: int = 1) -> None:
        if start_epoch < 1:
            raise UserError(f'CoMiningHook.start_epoch counts from 1, got {start_epoch}')
        self.start_epoch = start_epoch
        self._seen = NOTHING_MINED

    def before_train(self, runner: Runner) -> None:
        """Warn of mining that never starts."""
        warn_if_never(runner, 'CoMiningHook: start_epoch', self.start_epoch)

    def before_train_epoch(self, runner: Runner) -> None:
        """Switch mining for this epoch."""
        model = _find(runner)
        require_teacher(model)
        model.mining = runner.epoch + 1 >= self.start_epoch
        self._seen = NOTHING_MINED

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None,
                         outputs: dict | None = None) -> None:
        """Add the last batch to the log."""
        counts = _find(runner).last_mined
        if counts is None:
            return
        self._seen += counts
        for name, value in mined_means(self._seen).items():
            runner.message_hub.update_scalar(f'train/pseudo/{name}', value)

    def after_train_epoch(self, runner: Runner) -> None:
        """One line per epoch."""
        if self._seen.views:
            means = ', '.join(f'{name} {value:.3g}' for name, value in mined_means(self._seen).items())
            runner.logger.info(f'mined labels in epoch {runner.epoch + 1}: {means}')


def mined_means(seen: MinedCounts) -> dict[str, float]:
    """Per image and view: labels found, detections of labelled cells; mean score of the labels found.

    >>> mined_means(MinedCounts(views=4, kept=1, labelled=2, confidence=0.75))
    {'kept_per_image': 0.25, 'labelled_per_image': 0.5, 'mean_confidence': 0.75}
    """
    return dict(kept_per_image=seen.kept / seen.views, labelled_per_image=seen.labelled / seen.views,
                mean_confidence=seen.confidence / max(seen.kept, 1))


def _find(runner: Runner) -> CoMining:
    model: Any = runner.model.module if is_model_wrapper(runner.model) else runner.model
    if not isinstance(model, CoMining):
        raise UserError(f'CoMiningHook needs a mmleuk.CoMining or mmleuk.CoStudent, the model is a '
                        f'{type(model).__name__}; take the hook out of default_hooks or change model.type')
    return model
