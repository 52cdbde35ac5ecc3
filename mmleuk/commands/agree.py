"""``mmleuk data agree``: how far two annotators of the same cells agree, per attribute."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmleuk.datasets.attribute_tables import AttributeTable, read_attribute_table
from mmleuk.errors import UserError
from mmleuk.evaluation.agreement import Agreement, agreements
from mmleuk.schema import AttributeSchema, get_declaration
from mmleuk.utils.files import check_new_file, write_atomic
from mmleuk.utils.tables import Row, csv_text, lines, text_table
from mmleuk.utils.words import plural_n

COLUMNS = ('attribute', 'n', 'agreed', 'rate', 'rate_low', 'rate_high', 'kappa', 'kappa_low', 'kappa_high')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument('first', metavar='A.csv', help="one annotator's table: a row per image, a column per attribute")
    parser.add_argument('second', metavar='B.csv', help="the other's, of all or some of these images")
    parser.add_argument('--data-set', default='wbcatt', metavar='NAME',
                        help='declared data set with the attributes and their values (default: wbcatt)')
    parser.add_argument('--attributes', nargs='+', metavar='KEY', help='compare only these (default: all)')
    parser.add_argument('--name-column', default='img_name', help='column with the image name (default: img_name)')
    parser.add_argument('--out', metavar='FILE', help='also write the table as CSV')


def run(args: argparse.Namespace) -> int:
    """Print the table, and write it if asked to.

    Raises:
        UserError: a file, column or value is wrong, or no image is in both; nothing has been written.
    """
    if args.out:
        check_new_file(args.out)
    schema = get_declaration(args.data_set).attributes
    if not len(schema):
        raise UserError(f'--data-set {args.data_set}: declares no attributes')
    schema = schema.select(args.attributes) if args.attributes else schema
    first, second = (read_attribute_table(path, schema, name_column=args.name_column)
                     for path in (args.first, args.second))
    rows = [_row(agreement) for agreement in compare_tables(first, second)]
    print(text_table(lines(rows, COLUMNS)))
    print(_explanation(first, second))
    if args.out:
        print(f'  {write_atomic(args.out, csv_text(rows, COLUMNS))}')
    return 0


def compare_tables(first: AttributeTable, second: AttributeTable) -> list[Agreement]:
    """Agreement per attribute on the images that both tables have, and on all attributes together.

    Raises:
        UserError: no image is in both.
    """
    shared = _shared(first, second)
    if not shared:
        raise UserError(f'{first.source} and {second.source}: have no image in common; the first of one is '
                        f'{first.names[0]!r}, of the other {second.names[0]!r}')
    ours, theirs = first.values[first.rows_of(shared)], second.values[second.rows_of(shared)]
    schema: AttributeSchema = first.schema
    return agreements(schema.keys, schema.cardinalities, np.asarray(ours), np.asarray(theirs))


def _shared(first: AttributeTable, second: AttributeTable) -> Sequence[str]:
    others = set(second.names)
    return [name for name in first.names if name in others]


def _row(agreement: Agreement) -> Row:
    rate_low, rate_high = agreement.rate_interval or (None, None)
    kappa_low, kappa_high = agreement.kappa_interval or (None, None)
    return dict(zip(COLUMNS, (agreement.key, agreement.n, agreement.agreed, agreement.rate, rate_low, rate_high,
                              agreement.kappa, kappa_low, kappa_high), strict=True))


def _explanation(first: AttributeTable, second: AttributeTable) -> str:
    shared = len(_shared(first, second))
    alone = [f'{plural_n(len(table.names) - shared, "image")} of {Path(table.source).name}' for table in (first, second)
             if len(table.names) > shared]
    left_out = f'; {" and ".join(alone)} left out' if alone else ''
    return (f'\n{plural_n(shared, "image")} in both{left_out}. n: pairs of known values. Intervals: 95%, of the rate '
            "Wilson's (of 'all' a bootstrap over images), of Cohen's kappa Fleiss, Cohen and Everitt's.")
