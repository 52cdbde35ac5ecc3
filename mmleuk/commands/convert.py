"""``mmleuk data convert``: convert annotations between COCO JSON, VOC, YOLO and the formats of annotation tools.

Without ``--from`` it converts the LeukemiaAttri release's extended YOLO texts: IMAGES LABELS OUT.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from mmleuk.commands import exchange
from mmleuk.datasets.converters.coco_files import SIDE_FILE, SIDE_KEY, check_coco, read_coco
from mmleuk.datasets.converters.extended_yolo import COLUMNS, CORNER_ORDERS, convert_yolo
from mmleuk.datasets.converters.formats import FORMATS, Reading, read_labels, write_labels
from mmleuk.datasets.converters.labels import similar_names
from mmleuk.datasets.converters.voc import CORNERS
from mmleuk.errors import UserError
from mmleuk.schema import LEUKEMIA_CLASSES
from mmleuk.utils.files import check_new_file
from mmleuk.utils.json_files import write_json
from mmleuk.utils.words import plural_n

RELEASE = 'release'
"""The format if ``--from`` is not given."""
OPTIONS = {
    'classes': ('voc', 'yolo', RELEASE, *exchange.NAMES), 'images': ('voc', 'yolo', *exchange.NAMES),
    'attributes': ('coco', *exchange.NAMES), 'side_file': ('voc', 'yolo'),
    'no_side_file': ('voc', 'yolo'), 'changed_labels': ('voc', 'yolo'), 'split': ('voc', 'yolo'),
    'allow_unlabelled': ('yolo', RELEASE), 'layout': (RELEASE,), 'corners': (RELEASE,)}
"""The values of ``--from`` that an option works with."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument('paths', nargs='+', metavar='PATH',
                        help='with --from: the COCO JSON or the folder of labels; without: IMAGES LABELS OUT, the '
                        "release's extended YOLO texts to COCO JSON")
    parser.add_argument('--classes', help='class names by index, with commas; default: those of the file; without '
                        "--from LeukemiaAttri's 14")
    parser.add_argument('--allow-unlabelled', action='store_true',
                        help='YOLO texts: take images without a text as images without cells')
    formats = parser.add_argument_group('between COCO, VOC, YOLO and annotation tools')
    choices = (*FORMATS, *exchange.NAMES)
    formats.add_argument('--from', dest='source_format', choices=choices, help='format of PATH')
    formats.add_argument('--to', dest='target_format', choices=choices, help='format to write')
    formats.add_argument('--out', help='new file (coco, cvat-coco, csv, parquet, predictions) or new folder to write')
    formats.add_argument('--attributes', metavar='NAME|FILE', help='attributes and their values, where the source does '
                         'not name them: a data set such as leukemia_attri, or a JSON file {"key": ["value", ...]}')
    formats.add_argument('--images', type=Path, help='folder of the images: for sizes and names that the labels lack '
                         '(default: images or JPEGImages beside the labels); for VOC every image is then searched')
    side = formats.add_mutually_exclusive_group()
    side.add_argument('--side-file', help=f'file with what label files lack (default: {SIDE_FILE} in PATH)')
    side.add_argument('--no-side-file', action='store_true', help='read only the labels')
    formats.add_argument('--changed-labels', choices=('refuse', 'keep'),
                         help='where labels were changed since the side file was written: stop, or keep what '
                         'the unchanged cells have (default: refuse)')
    formats.add_argument('--split', help='only this split: a folder such as train/labels or labels/train, or VOC\'s '
                         'list ImageSets/Main/SPLIT.txt')
    formats.add_argument('--voc-corners', choices=CORNERS,
                         help="pixels: VOC's corners, counted from 1, the last pixel inside; edges: corners from 0, "
                         'as some tools write them (default: pixels)')
    release = parser.add_argument_group("the release's extended YOLO texts (without --from)")
    release.add_argument('--layout', choices=('auto', *COLUMNS),
                         help='leukemia: 11 or 12 columns; sparse: 16; auto: by the first line (default)')
    release.add_argument('--corners', choices=('auto', *CORNER_ORDERS),
                         help='order of the sparse patch corners in the texts: xyxy is x1 y1 x2 y2, xxyy is '
                         'x1 x2 y1 y2 (default: auto, the order that fits every line)')


def run(args: argparse.Namespace) -> int:
    """Convert and print what was written; returns 0, or raises a UserError before anything is written."""
    classes = tuple(name.strip() for name in args.classes.split(',')) if args.classes is not None else ()
    if not all(classes) or len(set(classes)) < len(classes):
        raise UserError(f'--classes {args.classes!r} has an empty or a repeated name')
    _check_usage(args)
    if args.source_format is None:
        images, labels, out = args.paths
        data = convert_yolo(images, labels, classes or LEUKEMIA_CLASSES, layout=args.layout or 'auto',
                            corners=args.corners or 'auto', allow_unlabelled=args.allow_unlabelled)
        write_json(out, data)
        _say(out, data)
        return 0
    source, corners, note = Path(args.paths[0]), args.voc_corners or 'pixels', ''
    known = exchange.known_facts(args, classes)
    if args.source_format in exchange.NAMES:
        if args.target_format in exchange.NAMES:
            return _print_notes(source, exchange.convert(args, None, known))
        coco, notes = exchange.read_coco_of(source, args.source_format, known)
        note = '\n'.join(notes)
    elif args.source_format == 'coco':
        coco = read_coco(source)
        if SIDE_KEY in coco.data:
            raise UserError(f'{source}: is the side file of labels; convert these: --from '
                            f'{coco.data[SIDE_KEY]["format"]}')
    else:
        data, note = read_labels(source, args.source_format, Reading(
            corners=corners, images=args.images, classes=classes, split=args.split,
            side_file='' if args.no_side_file else args.side_file, keep_changed=args.changed_labels == 'keep',
            allow_unlabelled=args.allow_unlabelled))
        coco = check_coco(data, source)
    if args.target_format in exchange.NAMES:
        return _print_notes(source, [*note.splitlines(), *exchange.convert(args, coco, known)])
    if args.target_format == 'coco':
        write_json(args.out, coco.data)
    else:
        write_labels(coco, args.target_format, Path(args.out), corners)
    for line in note.splitlines():
        print(f'{source}: {line}')
    _say(args.out, coco.data)
    return 0


def _print_notes(source: Path, notes: list[str]) -> int:
    for line in notes:
        print(f'{source}: {line}')
    return 0


def _check_usage(args: argparse.Namespace) -> None:
    mode = args.source_format or RELEASE
    for option, modes in OPTIONS.items():
        if getattr(args, option) not in (None, False) and mode not in modes:
            meant = ' and '.join("the release's texts (without --from)" if name == RELEASE else f'--from {name}'
                                 for name in modes)
            raise UserError(f'--{option.replace("_", "-")} is for {meant}; leave it out')
    if args.voc_corners and 'voc' not in (args.source_format, args.target_format):
        raise UserError('--voc-corners is for --from voc and --to voc; leave it out')
    if args.changed_labels and args.no_side_file:
        raise UserError('--changed-labels is about the side file, which --no-side-file leaves out; give one of them')
    if args.source_format is None:
        if len(args.paths) != 3 or args.target_format or args.out:
            raise UserError('give either IMAGES LABELS OUT (the extended YOLO texts of the release), or one PATH with '
                            '--from, --to and --out')
        check_new_file(args.paths[2])
        return
    if args.target_format is None or args.out is None or len(args.paths) != 1:
        raise UserError('--from takes one PATH and needs --to and --out, e.g. `mmleuk data convert train.json --from '
                        'coco --to voc --out voc/`')
    if args.target_format in exchange.FILES:  # of folders the writers say so
        check_new_file(args.out)
    if args.target_format == args.source_format:
        raise UserError(f'--from {args.source_format} --to {args.target_format}: nothing to convert')


def _say(out: str, coco: dict) -> None:
    occupied = {annotation['image_id'] for annotation in coco['annotations']}
    print(f'{out}: {plural_n(len(coco["images"]), "image")} ({len(coco["images"]) - len(occupied)} without cells), '
          f'{plural_n(len(coco["annotations"]), "cell")}')
    counts = Counter(annotation['category_id'] for annotation in coco['annotations'])
    names = [category['name'] for category in coco['categories']]
    print('classes: ' + ', '.join(f'{category["name"]} {counts[category["id"]]}' for category in coco['categories']))
    for one, other in similar_names(names):
        print(f'note: the classes {one} and {other} may be one class, spelled in two ways; rename one in the labels')
