"""``mmleuk data dedupe``: one annotation of each cell that stands in two overlapping fields."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from mmleuk.datasets.converters.coco_files import read_coco
from mmleuk.datasets.dedupe import choose_cells, dedupe
from mmleuk.datasets.field_overlap import Field, find_shared_cells
from mmleuk.datasets.file_names import RELEASE_NAME_PATTERN, compile_name_pattern, parse_file_name
from mmleuk.errors import UserError
from mmleuk.utils.json_files import write_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument('annotations', help='COCO JSON')
    parser.add_argument('--images', type=Path, required=True, help='folder of its images')
    parser.add_argument('--out', type=Path, required=True, help='COCO JSON to write')
    parser.add_argument('--remove', action='store_true', help='take the other annotations out; by default they stay as '
                        'ignored, since their field still shows the cell')
    parser.add_argument('--name-pattern', default=RELEASE_NAME_PATTERN, help='regular expression with the group '
                        "'patient' for file names; only fields of one patient are compared (default: LeukemiaAttri's)")
    parser.add_argument('--workers', type=int, default=2, help='threads that compare fields')


def run(args: argparse.Namespace) -> int:
    """Write the file and say what was dropped; 0, or a UserError with nothing written."""
    if args.out.exists():
        raise UserError(f'{args.out}: is there already; name a new file, or remove this one')
    if args.workers < 1:
        raise UserError(f'--workers {args.workers}: at least one is needed')
    coco, pattern = read_coco(args.annotations), compile_name_pattern(args.name_pattern)
    images = [replace(image, patient=image.patient or parse_file_name(image.file_name, pattern)[0])
              for image in coco.images]
    pairs = list(find_shared_cells([Field(str(args.images / image.file_name), image) for image in images],
                                   args.workers))
    dropped = choose_cells(pairs)
    write_json(args.out, dedupe(coco.data, dropped, args.remove))
    for pair in pairs:
        print(f'overlap: {pair}')
    for drop in dropped:
        print(f'{"removed" if args.remove else "ignored"}: {drop}')
    count = sum(not cell.ignore for image in coco.images for cell in image.cells)
    print(f'{args.out}: {len(pairs)} pairs of {len(images)} fields overlap; {count - len(dropped)} of {count} cells '
          f'are kept, {len(dropped)} {"removed" if args.remove else "ignored"} because another field shows them more '
          'completely')
    return 0
