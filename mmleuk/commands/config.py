"""``mmleuk config``: print what a config resolves to, and which files set it."""

from __future__ import annotations

import argparse
import ast
import os
import re
import sys
from contextlib import redirect_stdout
from pathlib import Path

from mmengine.config import Config

from mmleuk.utils.config_file import SettingsAction, read_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument('config', help='config file')
    parser.add_argument('--cfg-options', nargs='+', action=SettingsAction, metavar='KEY=VALUE',
                        help='override settings of the config')


def run(args: argparse.Namespace) -> int:
    """Print.

    Raises:
        UserError: the config cannot be read, or a key is misspelt.
    """
    with redirect_stdout(sys.stderr):  # messages of imports and MMEngine don't belong to the config
        text = resolved_text(args.config, args.cfg_options)
    print(text)
    return 0


def resolved_text(path: str | Path, options: dict | None = None) -> str:
    """The config with all its bases merged, as Python that MMEngine can read as a config.

    A comment before each setting names the files and options that set it. The last one wins.

    Raises:
        UserError: see :func:`mmleuk.utils.config_file.read_config`.
    """
    text = read_config(path, options).pretty_text
    files = {file: top_level_names(file) for file in config_files(path)}
    given = {name: [key for key in options or {} if key.split('.')[0] == name] for name in
             re.findall(r'^(\w+) = ', text, re.MULTILINE)}

    def origin(found: re.Match) -> str:
        name = found[1]
        origins = [os.path.relpath(file) for file, names in files.items() if name in names]
        origins += [f'--cfg-options {key}' for key in given[name]]
        return f'\n# {", ".join(origins)}\n{found[0]}' if origins else f'\n{found[0]}'
    return re.sub(r'^(\w+) = ', origin, text, flags=re.MULTILINE).strip()


def config_files(path: str | Path) -> list[str]:
    """All bases of a config and then its own file, each once, in the order in which MMEngine merges them."""
    files: list[str] = []
    for base in Config._get_base_files(str(path)):
        files += config_files(Config._get_cfg_path(base, str(path))[0])
    return list(dict.fromkeys([*files, str(path)]))


def top_level_names(path: str | Path) -> set[str]:
    """The names that a config file itself sets, without its bases; all names for files that aren't Python."""
    if not str(path).endswith('.py'):
        return set(Config.fromfile(path))
    # Placeholders such as {{_base_.model}} parse as sets of sets.
    tree = ast.parse(Path(path).read_text(encoding='utf-8'))
    targets = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
    names = [target for target in targets if isinstance(target, ast.Name)]
    return {name.id for name in names} - {'_base_'}
