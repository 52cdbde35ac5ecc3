"""``mmleuk segment``: masks of cell parts, and the numbers that follow from them."""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mmleuk.errors import UserError
from mmleuk.utils.command_line import non_negative
from mmleuk.utils.files import check_target
from mmleuk.utils.image_inputs import check_images, list_images, name_images
from mmleuk.utils.new_folder import new_folder, write_text
from mmleuk.utils.progress import progress
from mmleuk.utils.tables import Row, csv_text
from mmleuk.utils.words import plural_n


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument('inputs', nargs='+', metavar='INPUT', help='images of one cell each: files, folders or globs')
    parser.add_argument('config', help='config of a model of configs/segmentation')
    parser.add_argument('checkpoint', help='its weights (.pth)')
    parser.add_argument('--out', default='parts', help='new folder for masks/, measures.csv and masks.html '
                        '(default: %(default)s)')
    parser.add_argument('--um-per-px', type=non_negative, metavar='UM', help='micrometres per pixel: areas in um² '
                        'instead of pixels')
    parser.add_argument('--device', help='such as cpu or cuda:0 (default: a GPU if there is one)')


def run(args: argparse.Namespace) -> int:
    """Predict, measure, write and say where; 0.

    Raises:
        UserError: bad input, config, checkpoint or folder; nothing has been written.
    """
    out = Path(args.out)
    check_target(out / 'masks.html')
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f'{out}: exists already; name a new folder, or remove this one')
    if args.um_per_px == 0:
        raise UserError('--um-per-px is 0; give the size of a pixel in micrometres, such as 0.1')
    paths = list_images(args.inputs)
    names = name_images(paths)
    check_masks_differ(names)
    check_images(paths)
    from mmleuk.segmentation.predictor import PartPredictor  # late: bad input must not wait for torch
    predictor = PartPredictor(args.config, args.checkpoint, args.device)
    with new_folder(out) as folder:
        rows = write_parts(predictor(paths), paths, names, folder, args)
    cells = [row for row in rows if row['cell'] == 'yes']
    print(f'{out}: masks of {plural_n(len(rows), "image")}, measures of {plural_n(len(cells), "cell")}')
    empty = [str(row['img_name']) for row in rows if row['cell'] == 'no']
    if empty:
        print(f'  no cell in {", ".join(empty[:5])}{f" and {len(empty) - 5} more" if len(empty) > 5 else ""}')
    for path in sorted(out.iterdir()):
        print(f'  {path}')
    return 0


def check_masks_differ(names: list[str]) -> None:
    """Refuse two images whose masks would have one name.

    Raises:
        UserError: such as a.jpg and a.png.
    """
    from mmleuk.segmentation.outputs import relative_mask
    seen: dict[Path, str] = {}
    for name in names:
        mask = relative_mask(name)
        if mask in seen:
            raise UserError(f'{name}: its mask would be masks/{mask}, as that of {seen[mask]}; rename one of them')
        seen[mask] = name


def write_parts(masks: Iterable[np.ndarray], paths: list[Path], names: list[str], folder: Path,
                args: argparse.Namespace) -> list[Row]:
    """Write the masks, the table and the page into an unfinished folder; the table's rows."""
    from PIL import Image

    from mmleuk.pictures.drawing import load_image
    from mmleuk.pictures.masks import outlined
    from mmleuk.segmentation.outputs import MOST_SHOWN, measure_row, relative_mask, render_masks
    from mmleuk.structures.cell_measures import measure_cell
    from mmleuk.structures.cell_parts import PALETTE, PARTS
    palette = [PALETTE[part] for part in PARTS]
    rows: list[Row] = []
    pictures: list[tuple[Row, Image.Image]] = []
    for path, name, mask in progress(zip(paths, names, masks), len(paths), 'images'):
        target = folder / 'masks' / relative_mask(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(target)
        measures = measure_cell(mask)
        if measures is not None and args.um_per_px:
            measures = measures.scaled(args.um_per_px)
        rows.append(measure_row(name, measures))
        if len(pictures) < MOST_SHOWN:
            pictures.append((rows[-1], outlined(load_image(path), mask, palette)))
    write_text(folder / 'measures.csv', csv_text(rows))
    facts = dict(config=str(args.config), weights=str(args.checkpoint),
                 made=f'{datetime.datetime.now().astimezone():%Y-%m-%d %H:%M}')
    write_text(folder / 'masks.html', render_masks(pictures, rows, facts, 'µm²' if args.um_per_px else 'pixels'))
    return rows
