"""``mmleuk data synthesize``: render a data set of blood films."""

from __future__ import annotations

import argparse
from dataclasses import fields

from mmleuk.errors import UserError
from mmleuk.structures.cell_parts import PARTS
from mmleuk.synthetic.classes import CLASS_BALANCES
from mmleuk.synthetic.preview import write_preview
from mmleuk.synthetic.writer import Settings, synthesize
from mmleuk.utils.command_line import fraction

FILMS = {field.name: field.default for field in fields(Settings) if field.name != 'seed'} | dict(
    workers=2, overwrite=False)
"""Arguments for films with their defaults; a contact sheet uses none of them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('out', nargs='?', help='folder to write: images/ and annotations/')
    parser.add_argument('--train', type=int, help='training films (default: %(default)s)')
    parser.add_argument('--test', type=int, help='test films (default: %(default)s)')
    parser.add_argument('--size', type=int, help='width and height in pixels (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='same seed, same films (default: %(default)s)')
    parser.add_argument('--region-fraction', type=fraction,
                        help='annotated share of a sparse training film (default: %(default)s)')
    parser.add_argument('--cells', type=int, nargs=2, metavar=('FEWEST', 'MOST'),
                        help='leukocytes per film (default: 8 16)')
    parser.add_argument('--empty-share', type=fraction, help='share of films without leukocytes (default: %(default)s)')
    parser.add_argument('--unknown-share', type=fraction,
                        help='share of cells that have one attribute unknown (default: %(default)s)')
    parser.add_argument('--class-balance', choices=tuple(CLASS_BALANCES),
                        help='shares of the classes (default: %(default)s)')
    parser.add_argument('--masks', action='store_true',
                        help='also write masks/, a PNG per film with the part of each pixel: '
                             + ', '.join(f'{value} {part}' for value, part in enumerate(PARTS)))
    parser.add_argument('--workers', type=int, help='processes (default: %(default)s)')
    parser.add_argument('--overwrite', action='store_true', help='replace films rendered with other arguments')
    parser.add_argument('--preview', metavar='FILE', help='write a contact sheet of all classes (PNG)')
    parser.set_defaults(**FILMS)


def run(args: argparse.Namespace) -> int:
    """Run the command; returns 0.

    Raises:
        UserError: an argument is wrong, or a file can't be written.
    """
    if not args.out and not args.preview:
        raise UserError('name a folder to write, or --preview FILE')
    films = {name: getattr(args, name) for name in FILMS}
    unused = [name for name, value in films.items() if value != FILMS[name]]
    if not args.out and unused:
        raise UserError(f'--{unused[0].replace("_", "-")} is for films, but --preview alone writes none; leave it '
                        'out, or name a folder to write')
    if args.preview:
        write_preview(args.preview, args.seed)
        print(f'{args.preview}: contact sheet of all classes')
    if args.out:
        synthesize(args.out, seed=args.seed, **films)
    return 0
