"""``mmleuk data convert``: the release's extended YOLO texts -> COCO JSON."""

from __future__ import annotations

import argparse

from mmleuk.datasets.converters.yolo import convert_yolo
from mmleuk.datasets.converters.yolo_rows import COLUMNS, CORNER_ORDERS
from mmleuk.datasets.files import write_json
from mmleuk.errors import UserError
from mmleuk.schema import LEUKEMIA_CLASSES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument('images', help='folder of the images')
    parser.add_argument('labels', help='folder of the texts, named as the images')
    parser.add_argument('out', help='JSON file to write')
    parser.add_argument('--layout', choices=('auto', *COLUMNS), default='auto',
                        help='leukemia: 11 or 12 columns; sparse: 16; auto: as the first line says')
    parser.add_argument('--corners', choices=('auto', *CORNER_ORDERS), default='auto',
                        help='order of the sparse patch corners in the texts: xyxy is x1 y1 x2 y2, xxyy is x1 x2 y1 y2')
    parser.add_argument('--classes', default=','.join(LEUKEMIA_CLASSES),
                        help="class names by index, with commas; default LeukemiaAttri's 14")
    parser.add_argument('--allow-unlabelled', action='store_true',
                        help='take images without a text as images without cells')


def run(args: argparse.Namespace) -> int:
    """Convert and say what was written; 0, or a UserError before anything is written."""
    classes = tuple(name.strip() for name in args.classes.split(','))
    if not all(classes) or len(set(classes)) < len(classes):
        raise UserError(f'--classes {args.classes!r} has an empty or a repeated name')
    coco = convert_yolo(args.images, args.labels, classes, layout=args.layout, corners=args.corners,
                        allow_unlabelled=args.allow_unlabelled)
    write_json(args.out, coco)
    occupied = {annotation['image_id'] for annotation in coco['annotations']}
    print(f'{args.out}: {len(coco["images"])} images ({len(coco["images"]) - len(occupied)} without cells), '
          f'{len(coco["annotations"])} cells')
    return 0
