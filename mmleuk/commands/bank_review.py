"""``mmleuk bank review``: note what a person says about a cell, or list what was said."""

from __future__ import annotations

import argparse

from mmleuk.bank.boxes import BOX, parse_box
from mmleuk.bank.connection import Bank
from mmleuk.bank.reviews import add_review, reviews_of
from mmleuk.commands.bank_options import BANK_HELP, check_cell
from mmleuk.errors import UserError
from mmleuk.utils.tables import text_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument('bank', help=BANK_HELP)
    parser.add_argument('cell', type=int, help="the cell's id; mmleuk bank query lists them")
    parser.add_argument('said', nargs='*', metavar='WHAT=VALUE', help='type=TYPE, cell="no cell", box=X1,Y1,X2,Y2 in '
                        'pixels, or KEY=VALUE of an attribute; nothing lists what was said')
    parser.add_argument('--who', default='', help='name of the person who says it')
    parser.add_argument('--new-type', action='store_true', help='the type may be one that no model in the bank knows')
    parser.add_argument('--note', default='', help='free text')


def run(args: argparse.Namespace) -> int:
    """Note it, and print all that was said about the cell.

    Raises:
        UserError: bad input; what stood before the bad word has been noted.
    """
    pairs = [text.partition('=') for text in args.said]
    for what, equals, value in pairs:
        if not (what and equals and value):
            raise UserError(f'{what}{equals}{value}: write WHAT=VALUE, such as type=Myeloblast')
    check_cell(args.cell)
    bank = Bank(args.bank)
    for what, _, value in pairs:
        add_review(bank, args.cell, args.who, what, value, args.note, new_type=args.new_type)
    with bank.reading() as connection:
        rows = [[r.at, r.who, r.subject, _shown(r.subject, r.old), _shown(r.subject, r.new), r.note]
                for r in reviews_of(connection, args.cell)]
    print(text_table([['at', 'who', 'about', 'before', 'says', 'note'], *rows]))
    return 0


def _shown(subject: str, value: str | None) -> str | None:
    """A value for the screen: boxes to a hundredth of a pixel."""
    return value if subject != BOX or value is None else ','.join(f'{side:.2f}' for side in parse_box(value))
