"""``mmleuk bottleneck``: fit concept bottlenecks on a model's attributes, and score them beside its own type."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mmleuk.errors import UserError
from mmleuk.utils.new_folder import new_folder, write_text
from mmleuk.utils.tables import Row, csv_text, lines, text_table

if TYPE_CHECKING:
    from mmleuk.explain.bottleneck import Bottleneck
    from mmleuk.explain.reading import Concepts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument('config', help='config of an AttributeRecognizer or a detector with attributes: it is fitted '
                        'on its training data and scored on its test data')
    parser.add_argument('checkpoint', help="the model's weights (.pth)")
    parser.add_argument('--out', default='bottleneck', help='new folder for linear.json, boosted.json, scores.csv and '
                        'predictions.csv (default: bottleneck)')
    parser.add_argument('--seed', type=int, default=0, help='of the fit (default: 0)')
    parser.add_argument('--device', help='such as cpu or cuda:0 (default: a GPU if there is one)')


def run(args: argparse.Namespace) -> int:
    """Fit, score and write; 0.

    Raises:
        UserError: bad config, checkpoint, data or folder; nothing has been written.
    """
    out = Path(args.out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f'{out}: exists already; name a new folder, or remove this one')
    from mmleuk.explain.reading import ConceptReader  # late: --help must not wait for torch
    reader = ConceptReader(args.config, args.checkpoint, args.device)
    train = reader.read_data(reader.cfg.train_dataloader)
    test = reader.read_data(reader.cfg.test_dataloader)
    fitted, rows, predictions = fit_and_score(train, test, args.seed)
    facts = {'Model': str(reader.cfg.model.type), 'Config': args.config, 'Checkpoint': args.checkpoint,
             'Bottleneck fitted on': f'{len(train.names)} cells of the training data, seed {args.seed}'}
    with new_folder(out) as folder:
        for bottleneck in fitted:
            replace(bottleneck, facts=facts).to_json(folder / f'{bottleneck.kind}.json')
        write_text(folder / 'scores.csv', csv_text(rows))
        write_text(folder / 'predictions.csv', csv_text(predictions))
    print(text_table(lines(rows, list(rows[0]))))
    for path in sorted(out.iterdir()):
        print(f'  {path}')
    return 0


def fit_and_score(train: Concepts, test: Concepts, seed: int) -> tuple[list[Bottleneck], list[Row], list[Row]]:
    """Both bottlenecks, their scores beside the black box's, and a row of predictions per test cell."""
    from mmleuk.explain.bottleneck import KINDS
    from mmleuk.explain.fitting import fit_bottleneck
    from mmleuk.explain.scoring import type_scores
    fitted = [fit_bottleneck(kind, train.probabilities, train.types, train.schema, seed=seed) for kind in KINDS]
    predicted = {f'{bottleneck.kind} bottleneck': [bottleneck.types[index] for index in bottleneck.probabilities(
        test.probabilities).argmax(1)] for bottleneck in fitted}
    if test.black_box:
        predicted['black box'] = list(test.black_box)
    rows = [type_scores(name, test.types, found) for name, found in predicted.items()]
    columns = {name.replace(' bottleneck', '').replace(' ', '_'): found for name, found in predicted.items()}
    values = [[attribute.values[index] for attribute, index in zip(test.schema.attributes, row)]
              for row in predicted_values(test)]
    table: list[Row] = [
        dict(img_name=name, label=label, **{key: found[number] for key, found in columns.items()},
             **dict(zip(test.schema.keys, values[number])))
        for number, (name, label) in enumerate(zip(test.names, test.types))]
    return fitted, rows, table


def predicted_values(concepts: Concepts) -> list[list[int]]:
    """The most probable value of each attribute, for each cell."""
    ends, starts = [], [0]
    for count in concepts.schema.cardinalities:
        ends.append(starts[-1] + count)
        starts.append(ends[-1])
    columns = [concepts.probabilities[:, start:end].argmax(1) for start, end in zip(starts, ends)]
    return [[int(column[row]) for column in columns] for row in range(len(concepts.names))]
