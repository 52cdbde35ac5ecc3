"""``mmleuk data synthesize``: render a data set of blood films."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from mmleuk.errors import UserError
from mmleuk.structures.cell_parts import PARTS
from mmleuk.synthetic.classes import CLASS_BALANCES
from mmleuk.synthetic.mosaic import write_mosaic
from mmleuk.synthetic.preview import write_preview
from mmleuk.synthetic.writer import Settings, check_settings, synthesize
from mmleuk.utils.command_line import fraction
from mmleuk.utils.words import plural_n

FILMS = {field.name: field.default for field in fields(Settings) if field.name != 'seed'} | dict(
    workers=2, overwrite=False)
"""Arguments for films with their defaults; a contact sheet uses none of them."""
FILM_USES = ('cells', 'empty_share', 'unknown_share', 'class_balance', 'workers', 'overwrite')
"""Those that a large film uses."""


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
    film = parser.add_argument_group('one large film', 'a mosaic of fields, to try large images; uses --seed, '
                                     '--cells, --empty-share, --unknown-share, --class-balance, --workers, --overwrite')
    film.add_argument('--film', type=Path, metavar='FILE', help='write this tiled TIFF; its truth beside it (.json)')
    film.add_argument('--film-size', type=int, default=20_000, metavar='N',
                      help='width and height in pixels (default: %(default)s)')
    parser.set_defaults(**FILMS)


def run(args: argparse.Namespace) -> int:
    """Run the command; returns 0.

    Raises:
        UserError: an argument is wrong, or a file can't be written.
    """
    if not args.out and not args.preview and not args.film:
        raise UserError('name a folder to write, --film FILE or --preview FILE')
    films = {name: getattr(args, name) for name in FILMS}
    used = FILM_USES if args.film else ()
    unused = [name for name, value in films.items() if value != FILMS[name] and name not in used]
    if not args.out and unused:
        alone = '--film' if args.film else '--preview'
        raise UserError(f'--{unused[0].replace("_", "-")} is for a folder of films, but {alone} alone writes none; '
                        'leave it out, or name a folder to write')
    if args.preview:
        write_preview(args.preview, args.seed)
        print(f'{args.preview}: contact sheet of all classes')
    if args.film:
        settings = Settings(seed=args.seed, cells=tuple(args.cells), empty_share=args.empty_share,
                            unknown_share=args.unknown_share, class_balance=args.class_balance)
        check_settings(settings, args.workers)
        truth = write_mosaic(args.film, args.film_size, settings, args.workers, args.overwrite)
        print(f'{args.film}: {args.film_size} x {args.film_size} px, {plural_n(len(truth["annotations"]), "cell")}')
    if args.out:
        synthesize(args.out, seed=args.seed, **films)
    return 0
