"""``mmleuk bank upgrade``: bring the tables of a bank that an earlier version made up to date."""

from __future__ import annotations

import argparse

from mmleuk.bank.connection import upgrade
from mmleuk.commands.bank_options import BANK_HELP


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument('bank', help=BANK_HELP)


def run(args: argparse.Namespace) -> int:
    """Upgrade, all or nothing.

    Raises:
        UserError: there is no bank.
    """
    before, after = upgrade(args.bank)
    print(f'{args.bank}: tables {before} -> {after}' if before != after else f'{args.bank}: is up to date ({after})')
    return 0
