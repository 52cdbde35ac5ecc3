"""``mmleuk bias``: the attribute values on which a classifier makes more errors."""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path

import numpy as np

from mmleuk.datasets.attribute_tables import AttributeTable, read_attribute_table
from mmleuk.errors import UserError
from mmleuk.evaluation.bias import ValueRate, training_counts, value_rates
from mmleuk.report.bias_page import COLUMNS, bias_plot, bias_row, bias_sentences, render_bias
from mmleuk.schema import AttributeSchema, get_declaration
from mmleuk.utils.command_line import fraction
from mmleuk.utils.new_folder import new_folder, write_text
from mmleuk.utils.tables import csv_text, read_csv
from mmleuk.utils.words import plural_n


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument('predictions', metavar='PREDICTIONS.csv',
                        help='a row per cell: name, true type, predicted type; of any classifier')
    parser.add_argument('--attributes', metavar='CSV', help='a row per cell: name and attribute values, annotated or '
                        'predicted, such as cells.csv of mmleuk explain (default: columns of PREDICTIONS)')
    parser.add_argument('--train', metavar='CSV', help="the classifier's training cells with type and attributes, to "
                        'count them')
    parser.add_argument('--data-set', metavar='NAME', help='declared data set with the attributes and their values, '
                        'such as wbcatt (default: every column with 2 to 50 values is one)')
    parser.add_argument('--types', nargs='+', metavar='TYPE', help='compute false-negative rates of these types only')
    parser.add_argument('--alpha', type=fraction, default=0.05, help='share of findings that may be false '
                        '(default: 0.05)')
    parser.add_argument('--name-column', default='img_name', help='default: img_name')
    parser.add_argument('--truth-column', default='label', help='column with the true type (default: label)')
    parser.add_argument('--prediction-column', default='predicted', help='default: predicted')
    parser.add_argument('--out', default='bias', help='new folder for bias.csv, bias.png and bias.html (default: bias)')


def run(args: argparse.Namespace) -> int:
    """Compare, write and say what was found; 0.

    Raises:
        UserError: a file, column or value is wrong; nothing has been written.
    """
    truth, predicted, table = read_tables(args)
    training = _read_training(args, table.schema)
    rates = value_rates(truth, predicted, table.values, table.schema, types=args.types,
                        training=None if training is None
                        else training_counts(training.labels, training.values, training.schema))
    plot = bias_plot(rates, args.alpha)
    wrong = int((np.asarray(truth, object) != np.asarray(predicted, object)).sum())
    facts = {'Predictions': args.predictions, 'Attributes': args.attributes or args.predictions,
             'Training cells': '' if training is None else f'{args.train}, {plural_n(len(training.names), "cell")}',
             'Cells': f'{len(truth)}, {wrong} with a wrong type', 'Share of false findings': f'{args.alpha:g}',
             'Made': datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds')}
    with new_folder(args.out) as folder:
        write_text(folder / 'bias.csv', csv_text([bias_row(rate, args.alpha) for rate in rates], COLUMNS))
        (folder / 'bias.png').write_bytes(plot)
        write_text(folder / 'bias.html', render_bias(rates, args.alpha, plot, facts))
    _say(rates, args.alpha, Path(args.out))
    return 0


def read_tables(args: argparse.Namespace) -> tuple[list[str], list[str], AttributeTable]:
    """True and predicted types of the cells, and their attributes in the same order."""
    path = args.predictions
    rows = read_csv(path, [args.name_column, args.truth_column, args.prediction_column])
    schema = None if args.data_set is None else get_declaration(args.data_set).attributes
    truth, predicted = ([row[column].strip() for row in rows] for column in (args.truth_column, args.prediction_column))
    for number, pair in enumerate(zip(truth, predicted), start=2):
        if '' in pair:
            raise UserError(f'{path}: row {number}: has no {"true" if not pair[0] else "predicted"} type')
    table = read_attribute_table(args.attributes or path, schema, name_column=args.name_column,
                                 not_attributes=(args.truth_column, args.prediction_column))
    order = table.rows_of([row[args.name_column].strip() for row in rows])
    return truth, predicted, AttributeTable(table.source, tuple(table.names[row] for row in order), table.schema,
                                            table.values[order])


def _read_training(args: argparse.Namespace, schema: AttributeSchema) -> AttributeTable | None:
    if args.train is None:
        return None
    return read_attribute_table(args.train, schema, name_column=args.name_column, label_column=args.truth_column)


def _say(rates: list[ValueRate], alpha: float, out: Path) -> None:
    for sentence in bias_sentences(rates, alpha):
        print(sentence)
    for name in ('bias.csv', 'bias.png', 'bias.html'):
        print(f'  {out / name}')
