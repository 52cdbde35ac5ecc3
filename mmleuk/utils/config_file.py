"""Config files and ``--cfg-options``, as all commands read them."""

from __future__ import annotations

import textwrap
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction

from mmleuk.errors import UserError

_MISFITS = (AttributeError, IndexError, KeyError, TypeError)
"""What MMEngine raises for a key below a value that has none, and for an index past a list's end."""


class SettingsAction(DictAction):
    """MMEngine's ``--cfg-options KEY=VALUE ...``, which ends in a traceback where there is no ``=`` or no key."""

    def __call__(self, parser: ArgumentParser, namespace: Namespace, values: Any,
                 option_string: str | None = None) -> None:
        """Parse; ``parser.error`` where a text is no setting."""
        for text in values:
            key, equals, _ = text.partition('=')
            if not (key.strip() and equals):
                parser.error(f'{option_string} {text}: settings are KEY=VALUE, such as train_cfg.max_epochs=5')
        try:
            super().__call__(parser, namespace, values, option_string)
        except (AssertionError, ValueError) as error:
            parser.error(f'{option_string} {" ".join(values)}: cannot be read ({error})')


def read_config(path: str | Path, options: Mapping | None = None) -> Config:
    """Read a config file and its bases, and put ``options`` (as of ``--cfg-options``) over them.

    Raises:
        UserError: a file is missing or is not a config, or an option names a place that no config can have.
    """
    if not Path(path).is_file():
        raise UserError(f'{path}: no such config file; configs lie under configs/')
    try:
        cfg = Config.fromfile(path)
    # A config is Python that somebody wrote: anything may be wrong in it.
    except (Exception, SystemExit) as error:
        raise UserError(f'{path}: not a usable config ({type(error).__name__}: {error})') from error
    try:
        # All at once: `a._delete_=True a.b=1` means something else one by one.
        cfg.merge_from_dict(dict(options or {}))
    except _MISFITS as error:
        raise UserError(f'--cfg-options {_misfit(path, options or {})}: {path} has no such place '
                        f'({textwrap.shorten(f"{type(error).__name__}: {error}", 200)})') from error
    return cfg


def _misfit(path: str | Path, options: Mapping) -> str:
    """The first option that doesn't fit by itself, or all where only together they don't."""
    for key, value in options.items():
        try:
            Config.fromfile(path).merge_from_dict({key: value})
        except _MISFITS:
            return f'{key}={value}'
    return ' '.join(f'{key}={value}' for key, value in options.items())
