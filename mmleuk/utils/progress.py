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
