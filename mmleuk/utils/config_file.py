"""Read config files and ``--cfg-options``, and build models from them; all commands use this module."""

from __future__ import annotations

import copy
import difflib
import re
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmengine.config import Config, DictAction

from mmleuk.errors import UserError
from mmleuk.utils.config_tree import walk

if TYPE_CHECKING:
    from torch import nn

_MISFITS = (AttributeError, IndexError, KeyError, TypeError)
"""MMEngine's errors for a key below a value without keys, and for an index past the end of a list."""

_BUILD_ERRORS = (ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, OSError, RuntimeError,
                 TypeError, ValueError)
"""Errors of constructors for values that they can't use."""


_SPACE = '\0'
"""Stands for a space while MMEngine reads a setting."""


class SettingsAction(DictAction):
    """MMEngine's ``--cfg-options KEY=VALUE ...`` with an error message instead of a traceback for a wrong text."""

    def __call__(self, parser: ArgumentParser, namespace: Namespace, values: Any,
                 option_string: str | None = None) -> None:
        """Parse; calls ``parser.error`` if a text isn't a setting."""
        for text in values:
            key, equals, _ = text.partition('=')
            if not (key.strip() and equals):
                parser.error(f'{option_string} {text}: settings are KEY=VALUE, such as train_cfg.max_epochs=5')
        try:
            super().__call__(parser, namespace, values, option_string)
        except (AssertionError, ValueError) as error:
            parser.error(f'{option_string} {" ".join(values)}: cannot be read ({error})')

    @staticmethod
    def _parse_iterable(val: str) -> Any:
        """As MMEngine's, which takes all spaces out, also those within names of files and classes.

        >>> SettingsAction._parse_iterable('/my films/a.json'), SettingsAction._parse_iterable('[Red cell, (1, 2)]')
        ('/my films/a.json', ['Red cell', (1, 2)])
        """
        text = val.strip().strip('\'"')
        if ',' in text or text.startswith(('[', '(')):
            text = re.sub(r'(?<=[\[(,])\s+|\s+(?=[]),])', '', text)
        return _with_spaces(DictAction._parse_iterable(text.replace(' ', _SPACE)))


def _with_spaces(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(map(_with_spaces, value))
    return value.replace(_SPACE, ' ') if isinstance(value, str) else value


def read_config(path: str | Path, options: Mapping | None = None, needed: Sequence[str] = ()) -> Config:
    """Read a config file and its bases, apply ``options``, and check keys.

    Args:
        path: a config file.
        options: settings by key, as ``--cfg-options`` gives them.
        needed: the parts that the caller uses, such as 'model'.

    Raises:
        UserError: a file is missing or isn't a config, an option doesn't fit it, a key is misspelt
            (:mod:`~mmleuk.utils.strict_config`), or a needed part is missing.
    """
    # Late imports, here and below: parsing the flag for settings must not wait for torch.
    from mmengine.registry import init_default_scope

    from mmleuk.utils.strict_config import check_config_keys
    if not Path(path).is_file():
        raise UserError(f'{path}: no such config file; configs lie under configs/')
    try:
        cfg = Config.fromfile(path)
    # A config is a Python program and may raise any error.
    except (Exception, SystemExit) as error:
        raise UserError(f'{path}: not a usable config ({type(error).__name__}: {error})') from error
    try:
        # All at once: one by one, `a._delete_=True a.b=1` has another meaning.
        cfg.merge_from_dict(dict(options or {}))
    except _MISFITS as error:
        raise UserError(f'--cfg-options {_misfit(path, options or {})}: {path} has no such key '
                        f'({f"{type(error).__name__}: {error}":.200})') from error
    cfg.default_scope = cfg.get('default_scope') or 'mmdet'
    init_default_scope(cfg.default_scope)
    check_config_keys(cfg)
    for part in needed:
        if not cfg.get(part):
            raise UserError(f'{path}: has no {part}; add one, or take a config of configs/ as its _base_')
    return cfg


def _misfit(path: str | Path, options: Mapping) -> str:
    """The first option that doesn't fit by itself; all options if each fits by itself."""
    for key, value in options.items():
        try:
            Config.fromfile(path).merge_from_dict({key: value})
        except _MISFITS:
            return f'{key}={value}'
    return ' '.join(f'{key}={value}' for key, value in options.items())


@contextmanager
def building(cfg: Config) -> Iterator[None]:
    """Turn errors of constructors into one line that names the config and, if possible, the key.

    Raises:
        UserError: instead of the constructor's error.
    """
    try:
        yield
    except UserError:
        raise
    except _BUILD_ERRORS as error:
        raise UserError(f'{cfg.filename or "config"}: {_explain(cfg, error)}') from error


def build_model(cfg: Config) -> nn.Module:
    """The model of a config, with random weights.

    Raises:
        UserError: the config has no model, a type is unknown, a key is misspelt, or a value can't be used.
    """
    from mmengine.registry import init_default_scope

    from mmleuk.registry import MODELS
    if not cfg.get('model'):
        raise UserError(f'{cfg.filename or "config"}: has no model; name the config that the model was trained with')
    init_default_scope(cfg.get('default_scope') or 'mmdet')
    with building(cfg):
        return MODELS.build(copy.deepcopy(cfg.model))  # some detectors, such as DINO, change the dicts they are given


def _explain(cfg: Config, error: Exception) -> str:
    """A constructor's error in one line; for an unknown keyword with its path and a suggestion."""
    if isinstance(error, OSError) and error.filename:
        return f'{error.filename}: cannot be read ({error.strerror}); correct the path in the config'
    if re.match(r'mmseg\.\w+ is not in ', str(error.args[0] if error.args else '')) and not find_spec('mmseg'):
        return "needs MMSegmentation, which is not installed: pip install -c constraints.txt -e '.[seg]'"
    unknown = re.search(r"(\w+)(?:\.__init__)?\(\) got an unexpected keyword argument '(\w+)'", str(error))
    if not unknown:
        # MMEngine's lines on unknown types end with a link to its manual.
        text = str(error.args[0] if error.args else error).partition('. Please check')[0]
        return f'{text} ({type(error).__name__}); correct this value in the config'
    from mmleuk.utils.strict_config import find_builders, parameter_names
    owner, key = unknown.groups()
    found = [(f'{path}.{key}'.lstrip('.'), node) for path, node in walk(dict(cfg.items())) if key in node]
    for path, node in found:
        for builder in find_builders(node.get('type'), cfg.get('default_scope') or 'mmdet'):
            names = parameter_names(builder)[0] - {'self', key}
            close = difflib.get_close_matches(key, names, n=1)
            hint = f'did you mean {close[0]!r}?' if close else f'known are {", ".join(sorted(names))}'
            return f'unknown key {path!r} for {owner}; {hint}'
    return f'unknown key {(found[0][0] if found else key)!r} for {owner}; correct it in the config'
