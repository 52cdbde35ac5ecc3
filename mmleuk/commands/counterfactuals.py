"""``mmleuk counterfactuals``: draw cells twice with one attribute changed, and see whether a predictor notices."""

from __future__ import annotations

import argparse
from pathlib import Path

from mmleuk.errors import UserError
from mmleuk.utils.new_folder import new_folder, write_text
from mmleuk.utils.tables import csv_text, lines, text_table

SHOWN = 24


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument('config', help='config of an AttributeRecognizer of rendered cells')
    parser.add_argument('checkpoint', help='its weights (.pth)')
    parser.add_argument('--pairs', type=int, default=300, help='how many to draw (default: 300)')
    parser.add_argument('--seed', type=int, default=0, help='same seed, same cells (default: 0)')
    parser.add_argument('--out', default='counterfactuals', help='new folder for pairs.csv and pairs.jpg '
                        '(default: counterfactuals)')
    parser.add_argument('--device', help='such as cpu or cuda:0 (default: a GPU if there is one)')


def run(args: argparse.Namespace) -> int:
    """Draw, predict and write; 0.

    Raises:
        UserError: bad numbers, config, checkpoint or folder; nothing has been written.
    """
    out = Path(args.out)
    if args.pairs < 1 or args.seed < 0:
        raise UserError(f'--pairs is {args.pairs} and --seed {args.seed}; at least 1 and 0 are needed')
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f'{out}: exists already; name a new folder, or remove this one')
    from mmleuk.explain.reading import ConceptReader  # late: --help must not wait for torch
    from mmleuk.explain.rendered_pairs import answer_pairs, pair_pictures, pair_rows
    from mmleuk.explain.sheet import pair_sheet
    from mmleuk.pictures.drawing import save_picture
    from mmleuk.synthetic.pairs import render_pairs
    reader = ConceptReader(args.config, args.checkpoint, args.device)
    pairs = list(render_pairs(args.pairs, args.seed))
    answers = answer_pairs(reader, pairs)
    rows = pair_rows(answers)
    with new_folder(out) as folder:
        write_text(folder / 'pairs.csv', csv_text(rows))
        save_picture(pair_sheet(pair_pictures(pairs, answers)[:SHOWN]), folder / 'pairs.jpg')
    columns = ('edited', 'pairs', 'changed', 'low', 'high', 'right_before', 'right_after', 'others')
    print(text_table(lines(rows, columns)))
    for path in sorted(out.iterdir()):
        print(f'  {path}')
    return 0
