"""One image side by side: its truth, and what each model finds, misses and makes up.

    python tools/compare_pictures.py IMAGE --truth annotations/val.json --out figure.png \\
        --model 'naive=CONFIG:CHECKPOINT' --model 'SLA-Det=CONFIG:CHECKPOINT'

IMAGE is an image file that the truth knows, or its number in that file, counted from 0.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a clone that is not installed

from mmleuk.errors import UserError
from mmleuk.utils.command_line import exit_status, fraction
from mmleuk.utils.files import write_atomic


class Model(NamedTuple):
    """What ``--model`` names."""

    title: str
    config: str
    checkpoint: str


def model_of(text: str) -> Model:
    """Read ``title=config:checkpoint``."""
    title, equals, files = text.partition('=')
    config, colon, checkpoint = files.rpartition(':')
    if not (title and equals and config and colon and checkpoint):
        raise argparse.ArgumentTypeError(f'{text!r} is not TITLE=CONFIG:CHECKPOINT')
    return Model(title, config, checkpoint)


def build_parser() -> argparse.ArgumentParser:
    """The tool's flags."""
    parser = argparse.ArgumentParser(description="An image's truth and models' detections side by side.")
    parser.add_argument('image', help='image file, or its number in the truth, counted from 0')
    parser.add_argument('--truth', type=Path, required=True, help='complete annotation (COCO JSON)')
    parser.add_argument('--image-root', type=Path,
                        help='folder of the images, for a number (default: images/ beside the folder of the truth)')
    parser.add_argument('--model', type=model_of, action='append', required=True, metavar='TITLE=CONFIG:CHECKPOINT',
                        help='a model to show; give several')
    parser.add_argument('--out', type=Path, required=True, help='the figure, a PNG')
    parser.add_argument('--min-score', type=fraction, nargs='+', default=[0.25], metavar='SCORE',
                        help='leave out cells with a lower score: one for all models, or one for each (default: 0.25)')
    parser.add_argument('--min-iou', type=fraction, default=0.5, help='IoU from which a cell is found (default: 0.5)')
    parser.add_argument('--device', default='cpu', help='such as cpu or cuda:0 (default: cpu)')
    return parser


def run(args: argparse.Namespace) -> None:
    """Predict with every model and draw.

    Raises:
        UserError: bad truth, image, config or checkpoint, or models of different classes.
    """
    # Late: --help must not wait for torch.
    from mmleuk.apis import Inferencer
    from mmleuk.datasets.annotations import read_annotations
    from mmleuk.pictures.drawing import load_image
    from mmleuk.report.comparison import draw_comparison, find_image, model_panel, truth_panel
    from mmleuk.schema import AttributeSchema
    scores = args.min_score * len(args.model) if len(args.min_score) == 1 else args.min_score
    if len(scores) != len(args.model):
        raise UserError(f'--min-score has {len(scores)} values for {len(args.model)} models; give one, or one for each')
    inferencers = [Inferencer(model.config, model.checkpoint, args.device, score, max_overlap=1)  # nothing hidden
                   for model, score in zip(args.model, scores)]
    classes = inferencers[0].classes
    record = find_image(read_annotations(args.truth, classes, AttributeSchema()), args.image)
    if not record.is_known_everywhere:
        raise UserError(f'{args.truth}: image {record.file_name}: only a region of it is annotated, so what is right '
                        'elsewhere would count as false; give a complete annotation with --truth')
    root = args.image_root or args.truth.parent.parent / 'images'
    path = root / record.file_name if args.image.isdecimal() else Path(args.image)
    panels = [truth_panel(record, classes)]
    for model, inferencer in zip(args.model, inferencers):
        panels.append(model_panel(model.title, inferencer(path)[0].cells, record, classes, args.min_iou))
    files = '; '.join(f'{model.title}: {Path(model.config).stem}, {Path(model.checkpoint).name}, score of at least '
                      f'{score:g}' for model, score in zip(args.model, scores))
    caption = (f'{record.file_name} of {args.truth.name}, {record.width} x {record.height} pixels. Right: IoU of at '
               f'least {args.min_iou:g} with a cell of its class, each cell once. {files}.')
    print(write_atomic(args.out, draw_comparison(load_image(path), panels, caption)))
    for panel in panels:
        print('  ' + panel.title.replace('\n', ': '))


def main(argv: Sequence[str] | None = None) -> int:
    """0, or 2 on bad input with one line that says what is wrong."""
    return exit_status(run, build_parser().parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())
