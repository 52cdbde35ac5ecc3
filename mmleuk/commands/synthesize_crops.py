"""``mmleuk data crops``: render crops of single cells with attributes."""

from __future__ import annotations

import argparse

from mmleuk.synthetic.crop_writer import synthesize_crops
from mmleuk.utils.command_line import fraction


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('out', help='new folder: images/train, images/test, train.csv, test.csv')
    parser.add_argument('--train', type=int, default=4000, help='training crops (default: 4000)')
    parser.add_argument('--test', type=int, default=600, help='test crops (default: 600)')
    parser.add_argument('--side', type=int, default=96, help='width and height in pixels (default: 96)')
    parser.add_argument('--mixed', type=fraction, default=0.5, help='share of cells whose attributes are drawn at '
                        "random instead of their type's; they have the type None (default: 0.5)")
    parser.add_argument('--seed', type=int, default=0, help='same seed, same crops (default: 0)')
    parser.add_argument('--workers', type=int, default=2, help='processes (default: 2)')


def run(args: argparse.Namespace) -> int:
    """Render; 0.

    Raises:
        UserError: an argument is wrong, or the folder exists.
    """
    synthesize_crops(args.out, train=args.train, test=args.test, side=args.side, mixed=args.mixed, seed=args.seed,
                     workers=args.workers)
    return 0
