"""``mmleuk models``: the models in the package."""

from __future__ import annotations

import argparse

from mmleuk.shipped import DEFAULT, SHIPPED, get_shipped


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument('name', nargs='?', help='print the card of this model: data, licences, recipe, figures')


def run(args: argparse.Namespace) -> int:
    """Print the list, or one card."""
    if args.name is not None:
        print(get_shipped(args.name).card.read_text(encoding='utf-8'), end='')
        return 0
    for name, model in SHIPPED.items():
        print(f'{name}{" (default of mmleuk infer)" * (name == DEFAULT)}: {model.summary}')
        print(f'  {model.weights} ({model.weights.stat().st_size / 1e6:.1f} MB)\n  card: mmleuk models {name}')
    return 0
