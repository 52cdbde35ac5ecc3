"""Import names of a package on first use (PEP 562), so that reading files doesn't wait for MMDetection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """A ``__getattr__`` for a package.

    Args:
        package: its ``__name__``.
        homes: the module of the package that has each name.

    Raises:
        AttributeError: the returned function gets another name.

    >>> lazy_names('mmleuk', {'UserError': 'errors'})('UserError').__name__
    'UserError'
    """
    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f'module {package!r} has no attribute {name!r}')
        return getattr(import_module(f'{package}.{homes[name]}'), name)
    return find
