"""``mmleuk data synthesize``: renders a data set of blood films."""

from __future__ import annotations

import argparse

from mmleuk.errors import UserError
from mmleuk.synthetic.classes import CLASS_BALANCES
from mmleuk.synthetic.preview import write_preview
from mmleuk.synthetic.writer import synthesize


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('out', nargs='?', help='folder to write: images/ and annotations/')
    parser.add_argument('--train', type=int, default=500, help='training films (default: %(default)s)')
    parser.add_argument('--test', type=int, default=100, help='test films (default: %(default)s)')
    parser.add_argument('--size', type=int, default=640, help='width and height in pixels (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='same seed, same films (default: %(default)s)')
    parser.add_argument('--region-fraction', type=float, default=0.2,
                        help='annotated share of a sparse training film (default: %(default)s)')
    parser.add_argument('--cells', type=int, nargs=2, default=(8, 16), metavar=('FEWEST', 'MOST'),
                        help='leukocytes per film (default: 6 12)')
    parser.add_argument('--empty-share', type=float, default=0.04,
                        help='share of films without leukocytes (default: %(default)s)')
    parser.add_argument('--unknown-share', type=float, default=0.05,
                        help='share of cells that have one attribute unknown (default: %(default)s)')
    parser.add_argument('--class-balance', choices=tuple(CLASS_BALANCES), default='uniform',
                        help='shares of the classes (default: %(default)s)')
    parser.add_argument('--workers', type=int, default=2, help='processes (default: %(default)s)')
    parser.add_argument('--overwrite', action='store_true', help='replace films rendered with other arguments')
    parser.add_argument('--preview', metavar='FILE', help='write a contact sheet of all classes (PNG)')


def run(args: argparse.Namespace) -> int:
    """Run the command; 0 when all went well.

    Raises:
        UserError: bad arguments, or something can't be written.
    """
    if not args.out and not args.preview:
        raise UserError('name a folder to write, or --preview FILE')
    if args.preview:
        write_preview(args.preview, args.seed)
        print(f'{args.preview}: contact sheet of all classes')
    if args.out:
        synthesize(args.out, train=args.train, test=args.test, size=args.size, seed=args.seed,
                   region_fraction=args.region_fraction, workers=args.workers, cells=tuple(args.cells),
                   empty_share=args.empty_share, unknown_share=args.unknown_share,
                   class_balance=args.class_balance, overwrite=args.overwrite)
    return 0
