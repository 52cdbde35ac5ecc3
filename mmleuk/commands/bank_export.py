"""``mmleuk bank export``: cells as CSV, Parquet or pictures."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mmleuk.bank.connection import Bank
from mmleuk.bank.exporting import write_csv, write_parquet, write_pictures
from mmleuk.bank.queries import ids_of
from mmleuk.bank.similar import find_similar
from mmleuk.commands.bank_options import BANK_HELP, add_filters, check_limit, wanted_of
from mmleuk.errors import UserError
from mmleuk.utils.words import plural_n


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument('bank', help=BANK_HELP)
    parser.add_argument('out', help='NAME.csv, NAME.parquet, or a new folder for pictures of the cells')
    add_filters(parser)
    parser.add_argument('--limit', type=int, help='how many cells at most (default: all; with --like: 20)')


def run(args: argparse.Namespace) -> int:
    """Write and say how many.

    Returns:
        0, or 1 if an image could not be read for its cells' pictures.

    Raises:
        UserError: bad input, or the output exists already.
    """
    check_limit(args.limit, 1)
    suffix = Path(args.out).suffix.lower()
    if suffix and suffix not in ('.csv', '.parquet'):
        raise UserError(f'{args.out}: end the name with .csv or .parquet, or name a new folder for pictures')
    if Path(args.out).exists():
        raise UserError(f'{args.out}: is there already; name a new file or folder, or remove this one')
    bank, wanted = Bank(args.bank), wanted_of(args)
    with bank.reading() as connection:
        if args.like is not None:
            ids = [cell.id for cell, _ in find_similar(connection, args.like, wanted, args.limit or 20)]
        else:
            ids = ids_of(connection, wanted, args.order, args.limit)
        if suffix:
            count = (write_csv if suffix == '.csv' else write_parquet)(connection, ids, args.out)
            print(f'{args.out}: {plural_n(count, "cell")}')
            return 0
        count, failed = write_pictures(connection, ids, args.out)
    print(f'{args.out}: {plural_n(count, "picture")} of {plural_n(len(ids), "cell")}')
    for failure in failed:
        print(f'error: {failure.image}: {failure.error}', file=sys.stderr)
    return 1 if failed else 0
