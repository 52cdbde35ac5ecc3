"""The arguments of ``mmleuk train`` and ``mmleuk test``, apart from what they start: --help needs no torch."""

from __future__ import annotations

import argparse

from mmleuk.utils.command_line import non_negative
from mmleuk.utils.config_file import SettingsAction


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of training: MMDetection's, and ``--tensorboard``."""
    parser.add_argument('config', help='train config file path')
    _add_common_arguments(parser)
    parser.add_argument('--amp', action='store_true', help='mixed precision: float16 on a GPU, bfloat16 on a CPU')
    parser.add_argument('--auto-scale-lr', action='store_true', help='scale the learning rate to the total batch')
    parser.add_argument('--resume', nargs='?', const='auto', metavar='CHECKPOINT',
                        help='go on from this checkpoint; without a path, from the last one in the work dir')
    parser.add_argument('--tensorboard', action='store_true',
                        help='log for TensorBoard, too: tensorboard --logdir WORK_DIR')


def add_test_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of testing: MMDetection's."""
    parser.add_argument('config', help='test config file path')
    parser.add_argument('checkpoint', help='checkpoint file')
    _add_common_arguments(parser)
    parser.add_argument('--out', help='write predictions to this pickle file (.pkl) for offline evaluation')
    parser.add_argument('--show', action='store_true', help='show predictions in a window')
    parser.add_argument('--show-dir', help='write pictures of predictions here, under work dir and time stamp')
    parser.add_argument('--wait-time', type=non_negative, metavar='S',
                        help='how long --show keeps a picture, in seconds (default: 2)')
    parser.add_argument('--tta', action='store_true', help='test-time augmentation (flips, or the config\'s own)')


def _add_common_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--work-dir', help='where logs and checkpoints go; default ./work_dirs/CONFIG')
    parser.add_argument('--cfg-options', nargs='+', action=SettingsAction, metavar='KEY=VALUE',
                        help='override settings of the config, such as train_cfg.max_epochs=5 or key="[a,b]"')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none', help='job launcher')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
