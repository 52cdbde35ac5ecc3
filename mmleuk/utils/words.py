"""Counts and lists in sentences."""

from __future__ import annotations

from collections.abc import Sequence


def plural_n(n: int, word: str) -> str:
    """'1 cell', '2 cells'."""
    return f'{n} {word}' + ('' if n == 1 else 's')


def listed(names: Sequence[str], conjunction: str) -> str:
    """'a', 'a and b', 'a, b and c'; at least one name."""
    return names[0] if len(names) == 1 else f'{", ".join(names[:-1])} {conjunction} {names[-1]}'
