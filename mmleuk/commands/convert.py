"""``mmleuk data convert``: annotations of other formats to COCO JSON and back.

Two commands in one: three folders and files without ``--from`` are the release's extended YOLO texts.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mmleuk.datasets.converters.coco_files import SIDE_FILE, SIDE_KEY, check_coco, read_coco
from mmleuk.datasets.converters.extended_yolo import COLUMNS, CORNER_ORDERS, convert_yolo
from mmleuk.datasets.converters.folders import split_listing
from mmleuk.datasets.converters.formats import FORMATS, Reading, read_labels, write_labels
from mmleuk.datasets.converters.voc import CORNERS
from mmleuk.errors import UserError
from mmleuk.schema import LEUKEMIA_CLASSES
from mmleuk.utils.json_files import write_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument('paths', nargs='+', metavar='PATH',
                        help='with --from: the COCO JSON or the folder of labels; without: IMAGES LABELS OUT, the '
                        "release's extended YOLO texts to COCO JSON")
    parser.add_argument('--classes', help='class names by index, with commas; default: those of the file; without '
                        "--from LeukemiaAttri's 14")
    formats = parser.add_argument_group('COCO, VOC and YOLO, each to each')
    formats.add_argument('--from', dest='source_format', choices=FORMATS, help='format of PATH')
    formats.add_argument('--to', dest='target_format', choices=FORMATS, help='format to write')
    formats.add_argument('--out', help='JSON file (coco) or new folder (voc, yolo) to write')
    formats.add_argument('--images', type=Path, help='folder of the images; YOLO without a side file needs their sizes')
    side = formats.add_mutually_exclusive_group()
    side.add_argument('--side-file', help=f'what the labels cannot hold (default: {SIDE_FILE} in PATH)')
    side.add_argument('--no-side-file', action='store_true', help='read the labels alone')
    formats.add_argument('--changed-labels', choices=('refuse', 'keep'), default='refuse',
                         help='where labels were changed since the side file was written: stop, or keep what '
                         'the unchanged cells have (default: %(default)s)')
    formats.add_argument('--split', help='VOC: only the images of ImageSets/Main/SPLIT.txt')
    formats.add_argument('--voc-corners', choices=CORNERS, default='pixels',
                         help="pixels: VOC's own, counted from 1, the last one inside; edges: plain corners from 0, "
                         'as some tools write (default: %(default)s)')
    release = parser.add_argument_group("the release's extended YOLO texts (without --from)")
    release.add_argument('--layout', choices=('auto', *COLUMNS), default='auto',
                         help='leukemia: 11 or 12 columns; sparse: 16; auto: as the first line says')
    release.add_argument('--corners', choices=('auto', *CORNER_ORDERS), default='auto',
                         help='order of the sparse patch corners in the texts: xyxy is x1 y1 x2 y2, xxyy is '
                         'x1 x2 y1 y2')
    release.add_argument('--allow-unlabelled', action='store_true',
                         help='take images without a text as images without cells')


def run(args: argparse.Namespace) -> int:
    """Convert and say what was written; 0, or a UserError before anything is written."""
    classes = tuple(name.strip() for name in args.classes.split(',')) if args.classes is not None else ()
    if not all(classes) or len(set(classes)) < len(classes):
        raise UserError(f'--classes {args.classes!r} has an empty or a repeated name')
    if args.source_format is None:
        return _convert_release(args, classes or LEUKEMIA_CLASSES)
    _check_usage(args)
    source = Path(args.paths[0])
    if args.source_format == 'coco':
        coco, note = read_coco(source), ''
        if SIDE_KEY in coco.data:
            raise UserError(f'{source}: is the side file of labels; convert these: --from '
                            f'{coco.data[SIDE_KEY]["format"]}')
    else:
        reading = Reading(corners=args.voc_corners, images=args.images, classes=classes,
                          listing=split_listing(source, args.split) if args.split is not None else None,
                          side_file='' if args.no_side_file else args.side_file,
                          keep_changed=args.changed_labels == 'keep')
        data, note = read_labels(source, args.source_format, reading)
        coco = check_coco(data, source)
    if args.target_format == 'coco':
        write_json(args.out, coco.data)
    else:
        write_labels(coco, args.target_format, Path(args.out), args.voc_corners)
    if note:
        print(f'{source}: {note}')
    _say(args.out, coco.data)
    return 0


def _check_usage(args: argparse.Namespace) -> None:
    if args.target_format is None or args.out is None or len(args.paths) != 1:
        raise UserError('--from takes one PATH and needs --to and --out, e.g. `mmleuk data convert train.json --from '
                        'coco --to voc --out voc/`')
    if args.target_format == args.source_format:
        raise UserError(f'--from {args.source_format} --to {args.target_format}: nothing to convert')
    if args.classes is not None and args.source_format == 'coco':
        raise UserError('--classes: a COCO JSON names its own classes; leave it out')
    if args.split is not None and args.source_format != 'voc':
        raise UserError('--split: only VOC has lists of splits; leave it out')


def _convert_release(args: argparse.Namespace, classes: tuple[str, ...]) -> int:
    if len(args.paths) != 3 or args.target_format or args.out:
        raise UserError('give either IMAGES LABELS OUT (the extended YOLO texts of the release), or one PATH with '
                        '--from, --to and --out')
    images, labels, out = args.paths
    coco = convert_yolo(images, labels, classes, layout=args.layout, corners=args.corners,
                        allow_unlabelled=args.allow_unlabelled)
    write_json(out, coco)
    _say(out, coco)
    return 0


def _say(out: str, coco: dict) -> None:
    occupied = {annotation['image_id'] for annotation in coco['annotations']}
    print(f'{out}: {len(coco["images"])} images ({len(coco["images"]) - len(occupied)} without cells), '
          f'{len(coco["annotations"])} cells')
