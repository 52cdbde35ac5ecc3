"""``mmleuk train``: a name for tools/train.py, with the same arguments."""

from __future__ import annotations

import argparse

from mmleuk.utils.launch_arguments import add_train_arguments as add_arguments

__all__ = ['add_arguments', 'run']


def run(args: argparse.Namespace) -> int:
    """Train; an error is printed as the other commands print it."""
    # Late: --help must not wait for torch.
    from mmleuk.engine.launch import run_train
    return run_train(args, 'mmleuk')
