"""``mmleuk bank query``: count and list cells."""

from __future__ import annotations

import argparse

from mmleuk.bank.connection import Bank
from mmleuk.bank.exporting import attribute_keys, print_rows
from mmleuk.bank.queries import count_cells, find_cells
from mmleuk.bank.similar import find_similar
from mmleuk.commands.bank_options import BANK_HELP, add_filters, check_limit, wanted_of
from mmleuk.utils.tables import text_table
from mmleuk.utils.words import plural_n


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument('bank', help=BANK_HELP)
    add_filters(parser)
    parser.add_argument('--limit', type=int, default=20, help='how many cells to list (default: 20)')


def run(args: argparse.Namespace) -> int:
    """Print the number of cells per type, and the first ones.

    Raises:
        UserError: bad input.
    """
    check_limit(args.limit, 0)
    wanted = wanted_of(args)
    bank = Bank(args.bank)
    with bank.reading() as connection:
        keys = attribute_keys(connection)
        if args.like is not None:
            near = find_similar(connection, args.like, wanted, args.limit)
            cells, similarities = [cell for cell, _ in near], [similarity for _, similarity in near]
            head, *rows = print_rows(cells, keys)
            print(text_table([['similarity', *head], *([value, *row] for value, row in zip(similarities, rows))]))
            return 0
        counts = count_cells(connection, wanted)
        cells = find_cells(connection, wanted, order=args.order, limit=args.limit) if args.limit else []
    total = sum(counts.values())
    print(plural_n(total, 'cell') + (f': {", ".join(f"{name} {count}" for name, count in counts.items())}'
                                     if total else ''))
    if cells:
        print(text_table(print_rows(cells, keys)))
    if len(cells) < total:
        print(f'{total - len(cells)} more; see --limit, or mmleuk bank export')
    return 0
