"""How good are the pseudo-labels of a sparse training? Only this analysis needs the complete annotation of its images.

    python tools/analyse_pseudo_labels.py CONFIG WORK_DIR [--truth annotations/train.json] [--out DIR] [--images N]

Takes every WORK_DIR/epoch_N.pth, writes pseudo_labels.json, .csv and .png and prints a table: docs/pseudo_labels.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a clone that is not installed

from mmleuk.errors import UserError
from mmleuk.utils.command_line import exit_status, fraction
from mmleuk.utils.config_file import SettingsAction, read_config
from mmleuk.utils.files import ensure_writable


def build_parser() -> argparse.ArgumentParser:
    """The tool's flags."""
    parser = argparse.ArgumentParser(description='Pseudo-labels of a sparse training against the complete annotation.')
    parser.add_argument('config', help='config of the training')
    parser.add_argument('work_dir', type=Path, help='its work dir, with epoch_N.pth')
    parser.add_argument('--truth', default='annotations/train.json',
                        help="complete annotation of the training images, under the data set's data_root "
                        '(default: annotations/train.json)')
    parser.add_argument('--out', type=Path, help='folder for the results (default: WORK_DIR/pseudo_labels)')
    parser.add_argument('--images', type=int, metavar='N', help='use N images, evenly spread (default: all)')
    parser.add_argument('--weights', choices=('student', 'average'),
                        help='which weights predict: the trained ones, or their moving average (default: as in '
                        'training)')
    parser.add_argument('--min-iou', type=fraction, default=0.5, help='IoU from which a cell is found (default: 0.5)')
    parser.add_argument('--device', default='cpu', help='such as cpu or cuda:0 (default: cpu)')
    parser.add_argument('--cfg-options', nargs='+', action=SettingsAction, metavar='KEY=VALUE',
                        help='override settings of the config')
    parser.add_argument('--labeller', nargs='+', action=SettingsAction, metavar='KEY=VALUE',
                        help='other settings of the labeller, such as sure_confidence=0.9')
    parser.add_argument('--measure', action='store_true',
                        help="the labeller measures its thresholds and counts again in these images' regions, not "
                        'those of the checkpoint: for weights of another training')
    return parser


def run(args: argparse.Namespace) -> None:
    """Analyse, print and write.

    Raises:
        UserError: bad config, data, checkpoints or folder.
    """
    if args.images is not None and args.images < 1:
        raise UserError(f'--images {args.images}: at least one image is needed')
    if not 0 < args.min_iou <= 1:
        raise UserError(f'--min-iou {args.min_iou}: it must lie between 0 and 1')
    cfg = read_config(args.config, args.cfg_options, ('model', 'train_dataloader'))
    out = ensure_writable(args.out or args.work_dir / 'pseudo_labels')
    # Late: --help must not wait for torch.
    from mmleuk.evaluation.pseudo_label_analysis import analyse
    from mmleuk.report.pseudo_labels import summary_table, write_analysis
    report = analyse(cfg, args.work_dir, args.truth, args.weights, args.images, args.min_iou, args.device,
                     args.labeller, args.measure)
    print(f'{report["images"]} images, {sum(report["hidden"].values())} hidden cells, {report["weights"]} weights\n')
    print(summary_table(report))
    for path in write_analysis(report, out):
        print(f'  {path}')


def main(argv: Sequence[str] | None = None) -> int:
    """0, or 2 on bad input with one line that says what is wrong."""
    return exit_status(run, build_parser().parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())
