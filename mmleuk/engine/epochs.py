"""What a schedule says about a training of another length."""

from __future__ import annotations

from mmengine.runner import Runner


def warn_if_never(runner: Runner, what: str, first_epoch: float) -> None:
    """Say so when something starts after the last epoch: a shortened training would leave it out without a word.

    Args:
        runner: of the training.
        what: the setting that gives the epoch.
        first_epoch: counted from 1.
    """
    if first_epoch > runner.max_epochs:
        runner.logger.warning(f'{what} starts at epoch {first_epoch:g}, after the last ({runner.max_epochs}): it never '
                              'will in this training. Set it earlier, or train longer')
