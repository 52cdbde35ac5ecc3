"""A warning for schedules that are longer than the training."""

from __future__ import annotations

from mmengine.runner import Runner


def warn_if_never(runner: Runner, what: str, first_epoch: float) -> None:
    """Warn if something starts after the last epoch, since a shortened training would silently leave it out.

    Args:
        runner: the training's runner.
        what: the setting that gives the epoch.
        first_epoch: counted from 1.
    """
    if first_epoch > runner.max_epochs:
        runner.logger.warning(f'{what} starts at epoch {first_epoch:g}, after the last ({runner.max_epochs}): it never '
                              'starts in this training. Set it earlier, or train longer')
