"""A misspelt key in a config is an error, before anything is built.

mmengine accepts ``score_thrr`` and ``trian_cfg`` in silence and trains with defaults. Here every dict with a
``type`` is compared with the signature of the class it builds; dicts without one (the config itself, ``test_cfg``
of heads) with the keys that are known there, and only a key close to a known one is refused: configs may hold
variables of their own.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmleuk.errors import UserError
from mmleuk.utils.config_keys import (
    BUILDER_KEYS,
    DEFAULT_TYPES,
    DICT_KEYS,
    LOADER_KEYS,
    MMDET2_KEYS,
    PLAIN_KEYS,
    TEST_CFG_KEYS,
    TOP_LEVEL_KEYS,
    TRAIN_CFG_KEYS,
)
from mmleuk.utils.config_signatures import accepted_keys, find_builders

_CLOSE = 0.8  # difflib's ratio: 'score_thrr' and 'score_thr' have 0.95, 'nms_pre' and 'nms' 0.6
_CLOSE_AT_TOP = 0.87  # 'trian_cfg' and 'train_cfg' have 0.89; 'interval' and 'val_interval', a variable, 0.8


def check_config_keys(cfg: Config | Mapping) -> None:
    """Refuse misspelt keys anywhere in a config.

    Args:
        cfg: A whole config. Not changed.

    Raises:
        UserError: naming the path of the first bad key, the class it would go to and the nearest known key.

    Example:
        >>> check_config_keys(dict(trian_cfg=dict(max_epochs=3)))
        Traceback (most recent call last):
        mmleuk.errors.UserError: config: unknown key 'trian_cfg'; did you mean 'train_cfg'?
    """
    init_default_scope(cfg.get('default_scope') or 'mmdet')
    scope = cfg.get('default_scope') or 'mmdet'
    tree = dict(cfg.items())
    for problem in _problems(tree, scope):
        where = getattr(cfg, 'filename', None) or 'config'
        raise UserError(f'{where}: {problem}')


def _problems(tree: Mapping, scope: str) -> Iterator[str]:
    for key in tree:
        if key in MMDET2_KEYS:
            yield f'{key!r} is MMDetection 2\'s and has no effect; {MMDET2_KEYS[key]}'
    yield from _close_calls(tree, TOP_LEVEL_KEYS, '', _CLOSE_AT_TOP)
    yield from (f'{key} is {value!r:.60}; it has to be a dict' for key, value in tree.items()
                if key in DICT_KEYS and value is not None and not isinstance(value, Mapping))
    for key, value in tree.items():
        if key not in TOP_LEVEL_KEYS:
            continue  # a variable: what it is used for is checked where it is used
        if key.endswith('_dataloader') and isinstance(value, Mapping):
            yield from _unknown(value, LOADER_KEYS, key, 'the data loader')
        elif key in PLAIN_KEYS and isinstance(value, Mapping):
            yield from _unknown(value, PLAIN_KEYS[key], key, 'mmengine\'s runner')
        elif key == 'default_hooks':
            yield from (f'default_hooks.{name}: has no type; is {name!r} misspelt?{_hint(name, value)}'
                        for name, hook in value.items() if isinstance(hook, Mapping) and 'type' not in hook)
        if isinstance(value, Mapping) and 'type' not in value and key in DEFAULT_TYPES:
            value = {**value, 'type': DEFAULT_TYPES[key](value)}
        yield from _walk(value, key, scope)


def _walk(node: Any, path: str, scope: str) -> Iterator[str]:
    """Yield the problems of a node and of all below it."""
    if isinstance(node, Mapping):
        if 'type' in node:
            yield from _check_typed(node, path, scope)
        elif path.endswith('.train_cfg') or '.train_cfg.' in path:
            yield from _close_calls(node, TRAIN_CFG_KEYS, path)
        elif path.endswith('.test_cfg') or '.test_cfg.' in path:
            yield from _close_calls(node, TEST_CFG_KEYS, path)
        for key, value in node.items():
            if key != 'type':
                yield from _walk(value, f'{path}.{key}', scope)
    elif isinstance(node, (list, tuple)):
        for index, value in enumerate(node):
            yield from _walk(value, f'{path}[{index}]', scope)


def _check_typed(node: Mapping, path: str, scope: str) -> Iterator[str]:
    """Compare a dict with every class that its ``type`` may mean; one that takes all its keys is enough."""
    builders = find_builders(node['type'], scope, path)
    taken = [accepted_keys(builder) for builder in builders]
    accepted = [keys for keys in taken if keys is not None]
    if not accepted or len(accepted) < len(taken):
        return  # not a registered name, or a class that takes anything
    extra = BUILDER_KEYS | _slot_keys(path)
    misfits = [[key for key in node if key not in keys | extra] for keys in accepted]
    if all(misfits):
        best = min(range(len(misfits)), key=lambda i: len(misfits[i]))
        name = getattr(builders[best], '__name__', str(node['type']))
        yield from _unknown(dict.fromkeys(misfits[best]), accepted[best] - {'self'}, path, name)


def _slot_keys(path: str) -> frozenset[str]:
    """Return keys that the place, not the class, takes out of a dict before building it."""
    last = path.rsplit('.', 1)[-1]
    if last == 'optim_wrapper' or last.endswith('_optim_wrapper'):
        return frozenset({'optimizer', 'constructor', 'paramwise_cfg'})
    return frozenset({'name'}) if 'override' in last else frozenset()


def _unknown(node: Mapping, known: frozenset[str], path: str, owner: str) -> Iterator[str]:
    for key in node:
        if key not in known and key != 'type' and key not in BUILDER_KEYS:
            yield f'unknown key {_join(path, key)!r} for {owner}{_hint(key, known)}'


def _close_calls(node: Mapping, known: frozenset[str], path: str, cutoff: float = _CLOSE) -> Iterator[str]:
    """Yield keys that are not known but nearly."""
    for key in node:
        if isinstance(key, str) and key not in known and not key.startswith('_'):
            close = difflib.get_close_matches(key, known, n=1, cutoff=cutoff)
            if close and not key.endswith(f'_{close[0]}') and not key.startswith(f'{close[0]}_'):
                yield f'unknown key {_join(path, key)!r}{_hint(key, known)}'


def _hint(key: str, known: Any) -> str:
    close = difflib.get_close_matches(key, [k for k in known if isinstance(k, str) and k != key], n=1, cutoff=0.6)
    return f'; did you mean {close[0]!r}?' if close else f'; known are {", ".join(sorted(known))}'


def _join(path: str, key: str) -> str:
    return f'{path}.{key}' if path else key
