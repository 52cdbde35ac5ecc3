"""``mmleuk data interfere``: write a copy of a test set per interference factor."""

from __future__ import annotations

import argparse

from mmleuk.datasets.interference.names import ANNOTATIONS, FACTOR_NAMES
from mmleuk.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('annotations', help='COCO JSON of the test set')
    parser.add_argument('--images', required=True, help='folder of its images')
    parser.add_argument('--out', required=True, help=f'new folder: FACTOR/images/ and FACTOR/{ANNOTATIONS} each')
    parser.add_argument('--factors', nargs='+', default=list(FACTOR_NAMES), choices=FACTOR_NAMES, metavar='FACTOR',
                        help=f'which (default: all): {", ".join(FACTOR_NAMES)}')
    parser.add_argument('--seed', type=int, default=0, help='same seed, same files (default: %(default)s)')
    parser.add_argument('--cell-classes', nargs='+', default=(), metavar='CLASS',
                        help='classes that overlap and are cut (default: all), such as WBC')
    parser.add_argument('--sheet', metavar='FILE', help='PNG to write: contact sheet of two images')
    parser.add_argument('--limit', type=int, help='use only the first LIMIT images')


def run(args: argparse.Namespace) -> int:
    """Write the copies and print what was written; returns 0, or raises a UserError with nothing written."""
    # Late: --help must not wait for torch.
    from mmleuk.datasets.interference import interfere
    if args.seed < 0 or (args.limit is not None and args.limit < 1):
        raise UserError(f'--seed is {args.seed} and --limit {args.limit}; seeds start at 0, limits at 1')
    written = interfere(args.annotations, args.images, args.out, args.factors, seed=args.seed,
                        cell_classes=args.cell_classes, limit=args.limit, sheet=args.sheet)
    for factor, count in written.items():
        print(f'{args.out}/{factor}: {count} images')
    if args.sheet:
        print(f'{args.sheet}: contact sheet')
    return 0
