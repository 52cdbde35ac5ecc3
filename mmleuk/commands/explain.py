"""``mmleuk explain``: why cells get their types, and what other attribute values would change."""

from __future__ import annotations

import argparse
import datetime
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmleuk.errors import UserError
from mmleuk.utils.command_line import fraction
from mmleuk.utils.files import check_target, sha256_of
from mmleuk.utils.image_inputs import list_images
from mmleuk.utils.new_folder import new_folder, write_text
from mmleuk.utils.tables import Row, csv_text
from mmleuk.utils.words import plural_n

if TYPE_CHECKING:
    from mmleuk.explain.cells import ExplainedCell
    from mmleuk.explain.counterfactuals import Pair

MOST_PRINTED = 20
MOST_PAIRS = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument('inputs', nargs='+', metavar='INPUT', help='crops of one cell each, or films if the model '
                        'finds cells or --cells names them: files, folders or globs')
    parser.add_argument('config', help='config of an AttributeRecognizer, or of a detector with attributes')
    parser.add_argument('checkpoint', help='its weights (.pth)')
    parser.add_argument('bottleneck', help='linear.json or boosted.json of mmleuk bottleneck')
    parser.add_argument('--set', action='append', default=[], metavar='ATTRIBUTE=VALUE', dest='edits',
                        help='a value to set, such as granule_colour=purple, to see what changes; may be repeated')
    parser.add_argument('--cells', metavar='JSON', help='predictions.json of mmleuk infer: explain the leukocytes that '
                        'it found in these films')
    parser.add_argument('--index', metavar='NPZ', help='index of mmleuk index: also show, for each edited cell, the '
                        'most similar cell that differs in the values set')
    parser.add_argument('--out', default='explanation', help='new folder for explanation.html, explanation.json, '
                        'cells.csv and pairs.jpg (default: explanation)')
    parser.add_argument('--min-score', type=fraction, default=0.25, help="leave out a detector's cells with a lower "
                        'score (default: 0.25)')
    parser.add_argument('--any-image', action='store_true', help='also explain crops without a stained nucleus')
    parser.add_argument('--device', help='such as cpu or cuda:0 (default: a GPU if there is one)')


def run(args: argparse.Namespace) -> int:
    """Explain, write and say why; 0.

    Raises:
        UserError: bad input, config, checkpoint, bottleneck, edit or folder, or an image without a cell; nothing has
            been written.
    """
    out = Path(args.out)
    check_target(out / 'explanation.html')
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f'{out}: exists already; name a new folder, or remove this one')
    if args.index and not args.edits:
        raise UserError('--index finds cells that differ in the values of --set; give at least one')
    list_images(args.inputs)
    from mmleuk.explain.bottleneck import Bottleneck
    from mmleuk.explain.cells import parse_edits
    bottleneck = Bottleneck.from_json(args.bottleneck)
    edits = parse_edits(args.edits, bottleneck.schema)
    from mmleuk.explain.explainer import Explainer  # late: a misspelt --set must not wait for torch
    explainer = Explainer(args.config, args.checkpoint, bottleneck, cells=args.cells, device=args.device,
                          min_score=args.min_score, any_image=args.any_image)
    cells = explainer(args.inputs)
    edited = [cell.edit(edits) for cell in cells]
    pairs = _find_pairs(args, edited)
    with new_folder(out) as folder:
        write_explanation(edited, folder, _facts(args, bottleneck.facts), pairs)
    for before, after in list(zip(cells, edited))[:MOST_PRINTED]:
        print(in_words(before, after, edits))
    if len(cells) > MOST_PRINTED:
        print(f'... and {plural_n(len(cells) - MOST_PRINTED, "more cell")}')
    if args.index:
        exact = sum(not pair.also for pair in pairs)
        print(f'{len(pairs)} of {plural_n(len(cells), "cell")} with a counterpart in the index, {exact} of them with '
              'no other difference')
    for path in sorted(out.iterdir()):
        print(f'  {path}')
    return 0


def _find_pairs(args: argparse.Namespace, cells: Sequence[ExplainedCell]) -> list[Pair]:
    """Edited cells with their counterparts in the index."""
    if not args.index:
        return []
    from mmleuk.explain.counterfactuals import CellIndex, find_pairs
    index = CellIndex.load(args.index)
    if index.model != sha256_of(args.checkpoint):
        raise UserError(f'{args.index}: was made with other weights than {args.checkpoint}; make it again with mmleuk '
                        'index')
    return find_pairs(cells, index)


def write_explanation(cells: Sequence[ExplainedCell], folder: Path, facts: dict[str, str],
                      pairs: Sequence[Pair] = ()) -> None:
    """Write the page, all numbers as JSON, one row per cell as CSV, and the pairs as a picture."""
    from mmleuk.explain.counterfactuals import page_pairs
    from mmleuk.explain.page import MOST_CELLS, cell_pictures, render_explanation
    from mmleuk.explain.sheet import PairPicture, pair_sheet
    from mmleuk.pictures.crops import data_uri
    from mmleuk.pictures.drawing import save_picture
    pictures = [data_uri(picture) for picture in cell_pictures(cells[:MOST_CELLS])]
    shown = pairs[:MOST_PAIRS]
    sides = list(zip(cell_pictures([pair.edited for pair in shown]), cell_pictures([pair.found for pair in shown])))
    of_pairs = page_pairs(shown, [(data_uri(left), data_uri(right)) for left, right in sides])
    write_text(folder / 'explanation.html', render_explanation(cells, pictures, facts, of_pairs))
    if shown:
        save_picture(pair_sheet([PairPicture(left, right, pair['set'], (
            f'{pair["left_type"]} → {pair["right_type"]}', *([f'also: {pair["also"]}'] if pair['also'] else [])))
            for (left, right), pair in zip(sides, of_pairs)]), folder / 'pairs.jpg')
    numbers = [_numbers(cell) for cell in cells]
    write_text(folder / 'explanation.json', json.dumps(dict(facts=facts, cells=numbers), indent=1,
                                                       ensure_ascii=False) + '\n')
    write_text(folder / 'cells.csv', csv_text([_row(cell) for cell in cells]))


def _row(cell: ExplainedCell) -> Row:
    """Name, box, type and attribute values, as ``mmleuk bias --attributes`` reads them."""
    x1, y1, x2, y2 = cell.box_xyxy or (None,) * 4
    values = {key: cell.schema.decode(key, value) for key, value in cell.values.items()}
    return dict(img_name=cell.name, x1=x1, y1=y1, x2=x2, y2=y2, found_as=cell.other_type, type=cell.type_name,
                type_prob=float(cell.type_probabilities.max()), **values)


def _numbers(cell: ExplainedCell) -> dict[str, object]:
    as_predicted = cell.edit(cell.predicted)
    spans = zip(cell.schema.attributes, cell.bottleneck.spans)
    return dict(
        name=cell.name, image=cell.path, box=cell.box_xyxy, found_as=cell.other_type, type=as_predicted.type_name,
        type_probabilities=_by_type(as_predicted), contributions=as_predicted.contributions(),
        attributes={a.key: dict(zip(a.values, cell.concepts[span].tolist())) for a, span in spans},
        edits={key: cell.schema.decode(key, value) for key, value in cell.edits.items()},
        edited=dict(type=cell.type_name, type_probabilities=_by_type(cell), contributions=cell.contributions())
        if cell.edits else None)


def _by_type(cell: ExplainedCell) -> dict[str, float]:
    return dict(zip(cell.bottleneck.types, cell.type_probabilities.tolist()))


def in_words(before: ExplainedCell, after: ExplainedCell, edits: Mapping[str, int]) -> str:
    """A cell's type, the attributes that add most to it, and what edits change."""
    said = f'{before.name}: {_type_and_why(before)}'
    if not after.edits:
        return said + ('\n  the values set are the predicted ones: nothing changes' if edits else '')
    changed = ', '.join(f'{_plain(key)} {after.schema.decode(key, value)}' for key, value in after.edits.items())
    return f'{said}\n  with {changed}: {_type_and_why(after)}'


def _type_and_why(cell: ExplainedCell) -> str:
    added = sorted(cell.contributions().items(), key=lambda item: -abs(item[1]))[:3]
    reasons = ', '.join(f'{_plain(key)} {cell.schema.decode(key, cell.values[key])} {number:+.2f}'
                        for key, number in added)
    return f'{cell.type_name} {cell.type_probabilities.max():.2f} ({reasons})'


def _plain(key: str) -> str:
    return key.replace('_', ' ')


def _facts(args: argparse.Namespace, of_bottleneck: dict[str, str]) -> dict[str, str]:
    return {'Model': of_bottleneck.get('Model', ''), 'Config': args.config, 'Checkpoint': args.checkpoint,
            'Bottleneck': args.bottleneck, 'Fitted on': of_bottleneck.get('Bottleneck fitted on', ''),
            'Cells found by': args.cells or '', 'Values set': ', '.join(args.edits),
            'Made': datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds')}
