"""Options that the commands of the bank share."""

from __future__ import annotations

import argparse

from mmleuk.bank.queries import ORDERS, Wanted
from mmleuk.errors import UserError
from mmleuk.utils.command_line import fraction, non_negative

BANK_HELP = 'path of an SQLite file, or postgresql://USER@HOST/NAME'

END = 2 ** 63
"""Databases take whole numbers below it."""


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Options that choose cells; all that are given have to hold."""
    parser.add_argument('--type', nargs='+', default=[], metavar='TYPE', help='any of these types')
    parser.add_argument('--attribute', nargs='+', default=[], metavar='KEY=VALUE',
                        help='all of these values, such as nucleolus=prominent')
    parser.add_argument('--min-score', type=fraction, help='lowest score of a detection')
    parser.add_argument('--max-score', type=fraction, help='highest score of a detection')
    for name, unit in (('um', 'diameter in micrometres'), ('px', "square root of the box's area in pixels")):
        parser.add_argument(f'--min-{name}', type=non_negative, help=f'smallest {unit}')
        parser.add_argument(f'--max-{name}', type=non_negative, help=f'largest {unit}')
    parser.add_argument('--film', help='only of this film')
    parser.add_argument('--patient', help='only of this patient')
    parser.add_argument('--field', help='only of the field with this name')
    parser.add_argument('--run', type=int, dest='run_id', help='only of the run with this number')
    parser.add_argument('--reviewed', choices=('yes', 'no'), help='only cells that somebody reviewed, or nobody')
    parser.add_argument('--all', action='store_true', help='also cells that do not count: of earlier runs, second '
                        'views of a cell, and what a reviewer called no cell')
    parser.add_argument('--order', choices=tuple(ORDERS), help='default: the highest score first; with a size, by size')
    parser.add_argument('--like', type=int, metavar='ID', help='the cells most like this one, most similar first')


def check_cell(cell: int) -> None:
    """Refuse an id that no database can hold.

    Raises:
        UserError: it isn't one of 64 bits.
    """
    if not 0 <= cell < END:
        raise UserError(f'cell {cell} is not in this bank; mmleuk bank query lists ids')


def check_limit(limit: int | None, least: int) -> None:
    """Refuse a --limit that is too small, or one that no database can count to.

    Raises:
        UserError: it is.
    """
    if limit is not None and not least <= limit < END:
        raise UserError(f'--limit {limit}: must be ' + (f'at least {least}' if limit < least else 'less than 2^63'))


def wanted_of(args: argparse.Namespace) -> Wanted:
    """The conditions of :func:`add_filters`.

    Raises:
        UserError: an attribute isn't KEY=VALUE, or there can be no cell to compare with.
    """
    if args.like is not None:
        check_cell(args.like)
    attributes = {}
    for text in args.attribute:
        key, equals, value = text.partition('=')
        if not (key and equals and value):
            raise UserError(f'--attribute {text}: write KEY=VALUE, such as nucleolus=prominent')
        attributes[key] = value
    return Wanted(
        types=args.type, attributes=attributes, min_score=args.min_score, max_score=args.max_score, min_um=args.min_um,
        max_um=args.max_um, min_px=args.min_px, max_px=args.max_px, film=args.film, patient=args.patient,
        field=args.field, run=args.run_id, uncounted=args.all,
        reviewed=None if args.reviewed is None else args.reviewed == 'yes')
