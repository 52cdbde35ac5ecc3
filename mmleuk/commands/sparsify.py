"""``mmleuk data sparsify``: keep the annotations of one random region per image."""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path

from mmleuk.datasets.converters.coco_files import read_coco
from mmleuk.errors import UserError
from mmleuk.utils.json_files import write_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('annotations', help='COCO JSON, completely annotated')
    parser.add_argument('out', type=Path, help='COCO JSON to write, with annotated_region in each image; several '
                        'shares give one file each, OUT_SHARE.json')
    parser.add_argument('--fraction', type=_share, nargs='+', default=[0.2], metavar='SHARE',
                        help="annotated share of each image's area, such as 0.2 or 1/5 (default: 0.2); the "
                        'region of a smaller share lies inside that of a larger one')
    parser.add_argument('--seed', type=int, default=0, help='same seed, same file (default: %(default)s)')


def _share(text: str) -> float:
    try:
        return float(Fraction(text)) if '/' in text else float(text)
    except ZeroDivisionError as error:
        raise argparse.ArgumentTypeError(f'{text!r} divides by 0') from error


def run(args: argparse.Namespace) -> int:
    """Write the files and print what they have; returns 0, or raises a UserError with nothing written."""
    # Late: --help must not wait for torch.
    from mmleuk.datasets.sparsify import sparsify_nested
    names = {share: args.out if len(args.fraction) == 1 else args.out.with_stem(f'{args.out.stem}_{share:g}')
             for share in args.fraction}
    there = [path for path in names.values() if path.exists()]
    if there:
        raise UserError(f'{there[0]}: exists already; name a new file, or remove this one')
    coco = read_coco(args.annotations)
    for share, sparse in sparsify_nested(coco, args.fraction, args.seed).items():
        write_json(names[share], sparse)
        print(f'{names[share]}: {len(sparse["images"])} images, {len(sparse["annotations"])} of '
              f"{len(coco.data['annotations'])} cells; annotation='sparse' in the data set's config reads it")
    return 0
