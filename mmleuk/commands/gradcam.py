"""``mmleuk gradcam``: where in a cell's image the network finds the value of each attribute."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmleuk.errors import UserError
from mmleuk.utils.command_line import fraction
from mmleuk.utils.files import check_target
from mmleuk.utils.image_inputs import check_images, list_images
from mmleuk.utils.new_folder import new_folder
from mmleuk.utils.words import plural_n

if TYPE_CHECKING:
    from mmleuk.explain.activation_reading import ActivationReader
    from mmleuk.explain.activation_sheet import CellRow

CELLS_PER_SHEET = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument('inputs', nargs='+', metavar='INPUT', help='crops of one cell each, or films if the model '
                        'finds cells or --cells names them: files, folders or globs')
    parser.add_argument('config', help='config of an AttributeRecognizer, or of a detector with AttriHead')
    parser.add_argument('checkpoint', help='its weights (.pth)')
    parser.add_argument('--attributes', nargs='+', metavar='KEY', help='show only these (default: all)')
    parser.add_argument('--cells', metavar='JSON', help='predictions.json of mmleuk infer: show the leukocytes that it '
                        'found in these films')
    parser.add_argument('--layer', help='layer whose maps are shown, such as encoder.layer3 (default: the deepest with '
                        'at least 6 points per side)')
    parser.add_argument('--out', default='gradcam', help='new folder for the sheets (default: gradcam)')
    parser.add_argument('--min-score', type=fraction, default=0.25, help="leave out a detector's cells with a lower "
                        'score (default: 0.25)')
    parser.add_argument('--device', help='such as cpu or cuda:0 (default: a GPU if there is one)')


def run(args: argparse.Namespace) -> int:
    """Draw the sheets; 0.

    Raises:
        UserError: bad input, config, checkpoint, attribute, layer or folder, or no cell; nothing has been written.
    """
    out = Path(args.out)
    check_target(out / 'gradcam_01.jpg')
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f'{out}: exists already; name a new folder, or remove this one')
    paths = list_images(args.inputs)
    check_images(paths)
    from mmleuk.explain.activation_reading import ActivationReader
    from mmleuk.explain.activation_sheet import activation_sheet
    from mmleuk.explain.reading import ConceptReader
    from mmleuk.pictures.drawing import save_picture
    reader = ActivationReader(ConceptReader(args.config, args.checkpoint, args.device, args.min_score),
                              args.attributes, args.layer)
    rows = _read(reader, paths, args.cells)
    if not rows:
        raise UserError(f'{args.inputs[0]}: no cell with attributes was found, so there is nothing to show')
    with new_folder(out) as folder:
        for number, start in enumerate(range(0, len(rows), CELLS_PER_SHEET), start=1):
            sheet = activation_sheet(rows[start:start + CELLS_PER_SHEET], reader.names)
            save_picture(sheet, folder / f'gradcam_{number:02d}.jpg')
    print(f'{plural_n(len(rows), "cell")}, {plural_n(len(reader.names), "attribute")}; red is where the predicted '
          'value was found')
    for path in sorted(out.iterdir()):
        print(f'  {path}')
    return 0


def _read(reader: ActivationReader, paths: Sequence[Path], cells: str | None) -> list[CellRow]:
    from mmleuk.structures import prediction_files
    if cells is None:
        return reader.read_crops(paths) if reader.reader.detector is None else reader.read_films(paths)
    if reader.reader.detector is not None:
        raise UserError(f'{cells}: the model finds cells itself; leave --cells out, or give the config of an '
                        'AttributeRecognizer')
    return reader.read_boxes(prediction_files.from_json(cells), paths)
