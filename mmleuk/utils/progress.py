"""Progress bars, only in a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

T = TypeVar('T')


def progress(items: Iterable[T], total: int | None = None, desc: str = '') -> Iterable[T]:
    """Iterate over ``items``; show a bar on stderr if it is a terminal."""
    return tqdm(items, total=total, desc=desc, disable=not sys.stderr.isatty(), leave=False)


def progress_bar(total: int, desc: str, unit: str) -> tqdm:
    """A bar to update by hand, on stderr if it is a terminal; a context manager."""
    return tqdm(total=total, desc=desc, unit=unit, disable=not sys.stderr.isatty(), leave=False)
