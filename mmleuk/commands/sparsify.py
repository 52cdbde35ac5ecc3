"""``mmleuk data sparsify``: complete annotations -> those of a random patch of each image."""

from __future__ import annotations

import argparse
from pathlib import Path

from mmleuk.datasets.converters.coco_files import read_coco
from mmleuk.datasets.sparsify import sparsify
from mmleuk.errors import UserError
from mmleuk.utils.json_files import write_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('annotations', help='COCO JSON, completely annotated')
    parser.add_argument('out', help='COCO JSON to write, with annotated_region in each image')
    parser.add_argument('--fraction', type=float, default=0.2,
                        help="annotated share of each image's area (default: %(default)s)")
    parser.add_argument('--seed', type=int, default=0, help='same seed, same file (default: %(default)s)')


def run(args: argparse.Namespace) -> int:
    """Write the file and say what is left; 0, or a UserError with nothing written."""
    if Path(args.out).exists():
        raise UserError(f'{args.out}: is there already; name a new file, or remove this one')
    coco = read_coco(args.annotations)
    sparse = sparsify(coco, args.fraction, args.seed)
    write_json(args.out, sparse)
    print(f'{args.out}: {len(sparse["images"])} images, {len(sparse["annotations"])} of '
          f"{len(coco.data['annotations'])} cells; annotation='sparse' in the data set's config reads it")
    return 0
