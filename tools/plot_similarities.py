"""Draw how alike labelled cells are in the features that SLA-Det's similarity loss compares.

    python tools/plot_similarities.py CONFIG CHECKPOINT --out similarities.png

Each panel has other features, also those of an AttriHead if the config has one. A point is a labelled cell in its
training batch. configs/sla_det/README.md shows such a picture.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a clone that is not installed

from mmleuk.errors import UserError
from mmleuk.utils.command_line import exit_status
from mmleuk.utils.config_file import SettingsAction, read_config

NECK = {'maps 1 and 2, 5 x 5 points (as in the loss)': (0, (8, 16), 5), 'maps 1 to 3, one point': (0, (8, 16, 32), 1),
        'map 3, 3 x 3 points': (2, (32,), 3)}
"""Panel -> first map of the neck, strides of the maps from it on, points per side of a box."""
ATTRIBUTES = "AttriHead's last hidden layer"


def build_parser() -> argparse.ArgumentParser:
    """The tool's flags."""
    parser = argparse.ArgumentParser(description='Similarities of labelled cells in training batches, as a picture.')
    parser.add_argument('config', help='config of a detector with a neck')
    parser.add_argument('checkpoint', type=Path, help='its weights')
    parser.add_argument('--out', type=Path, default=Path('similarities.png'), help='PNG to write')
    parser.add_argument('--batches', type=int, default=40, metavar='N', help='training batches (default: 40)')
    parser.add_argument('--seed', type=int, default=0, help='of their order and augmentation (default: 0)')
    parser.add_argument('--cfg-options', nargs='+', action=SettingsAction, metavar='KEY=VALUE',
                        help='override settings of the config')
    return parser


def run(args: argparse.Namespace) -> None:
    """Measure, print and draw.

    Raises:
        UserError: bad config, data, checkpoint or path.
    """
    if args.batches < 1:
        raise UserError(f'--batches {args.batches}: at least one is needed')
    cfg = read_config(args.config, args.cfg_options, ('model', 'train_dataloader'))
    # Late: --help must not wait for torch.
    from mmleuk.evaluation.similarities import attribute_features, measure_similarities, neck_features
    from mmleuk.report.similarities import similarity_plot
    from mmleuk.utils.files import write_atomic
    kinds = {title: neck_features(*which) for title, which in NECK.items()}
    if 'attri_head' in cfg.model:
        kinds[ATTRIBUTES] = attribute_features
    measured = measure_similarities(cfg, args.checkpoint, list(kinds.values()), args.batches, args.seed)
    found = dict(zip(kinds, measured))
    for title, each in found.items():
        print(f'{title}: {len(each.labels)} cells; mean over types: {each.satisfied:.1%} are more like all cells of '
              f'their type than like any other, {each.nearest_right:.1%} have a nearest cell of their type')
    write_atomic(args.out, similarity_plot(found))
    print(args.out)


def main(argv: Sequence[str] | None = None) -> int:
    """The tool's exit status."""
    return exit_status(run, build_parser().parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())
