"""``mmleuk data check``: find errors in a config's data before training."""

from __future__ import annotations

import argparse

from mmleuk.errors import UserError
from mmleuk.utils.config_file import SettingsAction, read_config
from mmleuk.utils.json_files import write_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument('config', help='config file')
    parser.add_argument('--json', help='write findings and counts to this file, too')
    parser.add_argument('--workers', type=int, default=2, help='threads that decode images')
    parser.add_argument('--overlaps', action='store_true', help='compare the fields of each patient: which overlap, '
                        'and which cells have a box in two of them (about 20 ms a pair)')
    parser.add_argument('--cfg-options', nargs='+', action=SettingsAction, help='override settings: key=value ...')


def run(args: argparse.Namespace) -> int:
    """Print the report.

    Returns:
        0 without problems, 1 with problems.

    Raises:
        UserError: the config can't be read, has a misspelt key or no data.
    """
    # Late: --help must not wait for torch.
    from mmleuk.datasets.check import examine_config
    if args.workers < 1:
        raise UserError(f'--workers {args.workers}: at least one is needed')
    cfg = read_config(args.config, args.cfg_options)
    report = examine_config(cfg, args.workers, args.overlaps)
    print(report.to_text())
    if args.json:
        write_json(args.json, report.to_dict())
    return 1 if report.problems else 0
