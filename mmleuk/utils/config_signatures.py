"""Which keys a registered class takes, read off its constructors."""

from __future__ import annotations

import ast
import functools
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

from mmengine import registry as mmengine_registry
from mmengine.registry import Registry
from torch import nn

_KWARGS_USE = re.compile(r"kwargs(?:\.(?:pop|get|setdefault)\(|\[)\s*['\"](\w+)['\"]")


def find_builders(kind: Any, scope: str, path: str) -> list[Callable]:
    """Return every class or function that a ``type`` may mean in some registry; [] for a name that none knows.

    Args:
        kind: The value of ``type``: a name, with or without scope, or the class itself.
        scope: The config's default scope.
        path: Where it stands, for names that are not in registries (``nms``).
    """
    if not isinstance(kind, str):
        return [kind] if callable(kind) else []
    if path.rsplit('.', 1)[-1] in ('nms', 'nms_cfg'):
        return _nms_builders(kind)
    prefix, _, name = kind.rpartition('.')
    scopes = (prefix,) if prefix else (scope, 'mmengine')
    found: list[Callable] = []
    for root in _roots():
        for registry in _tree(root):
            builder = registry.module_dict.get(name) if registry.scope in scopes else None
            if builder is not None and builder not in found:
                found.append(builder)
    return found


def _nms_builders(kind: str) -> list[Callable]:
    from mmcv import ops
    function = getattr(ops, kind, None)
    return [_with_keys(inspect.unwrap(function), 'class_agnostic', 'split_thr', 'iou_thr')] if function else []


def _with_keys(function: Callable, *names: str) -> Callable:
    """Return a stand-in whose signature has further keywords, which ``batched_nms`` takes out itself."""
    def stand_in() -> None:
        """Never called."""
    given = list(inspect.signature(function).parameters.values())
    further = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in names]
    stand_in.__signature__ = inspect.Signature(given + further)  # type: ignore[attr-defined]
    stand_in.__name__ = function.__name__
    return stand_in


def _roots() -> Iterator[Registry]:
    for value in vars(mmengine_registry).values():
        if isinstance(value, Registry):
            yield value


def _tree(registry: Registry) -> Iterator[Registry]:
    registry.import_from_location()
    yield registry
    for child in list(registry.children.values()):
        yield from _tree(child)


@functools.cache
def accepted_keys(builder: Callable) -> frozenset[str] | None:
    """Return the keywords that a class or function takes; None when it takes any.

    ``**kwargs`` is followed to the next constructor in the method resolution order; keys that the source takes out
    of ``kwargs`` by name count as well.
    """
    if not inspect.isclass(builder):
        return _of_function(builder)
    keys: set[str] = set()
    several_parents = any(len(cls.__bases__) > 1 for cls in builder.__mro__)  # who gets what is up to the class
    for cls in builder.__mro__:
        constructor = cls.__dict__.get('__init__')
        if cls is nn.Module or cls is object or constructor is None:
            continue
        try:
            parameters = list(inspect.signature(constructor).parameters.values())
        except (TypeError, ValueError):  # written in C
            return None
        keys |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)} - {'self'}
        rest = [p.name for p in parameters if p.kind is p.VAR_KEYWORD]
        source = _source(constructor) if rest else ''
        if rest and not _hands_to_parent(source, rest[0]):
            return None  # what it does not name goes somewhere else
        keys |= set(_KWARGS_USE.findall(source))
        if not rest and not several_parents:
            break
    return frozenset(keys) or None


def _hands_to_parent(source: str, name: str) -> bool:
    """Tell whether a constructor's source calls an ``__init__`` with ``**name``."""
    for node in ast.walk(ast.parse(textwrap.dedent(source))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == '__init__':
            if any(k.arg is None and isinstance(k.value, ast.Name) and k.value.id == name for k in node.keywords):
                return True
    return False


def _of_function(function: Callable) -> frozenset[str] | None:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return frozenset(p.name for p in parameters)


def _source(function: Callable) -> str:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return ''
