"""Counts and lists in sentences."""

from __future__ import annotations

from collections.abc import Sequence


def plural_n(n: int, word: str) -> str:
    """'1 cell', '2 cells'."""
    return f'{n} {word}' + ('' if n == 1 else 's')


def percent(share: float) -> str:
    """A share from 0 to 1 in percent, with a decimal below 10, so that few don't read as none.

    >>> [percent(share) for share in (0, 0.0001, 0.004, 0.0996, 0.25, 1)]
    ['0', '<0.1', '0.4', '10', '25', '100']
    """
    value = 100 * share
    if 0 < value < 0.05:
        return '<0.1'
    return f'{value:.1f}' if 0 < value < 9.95 else f'{value:.0f}'


def listed(names: Sequence[str], conjunction: str) -> str:
    """'a', 'a and b', 'a, b and c'; at least one name."""
    return names[0] if len(names) == 1 else f'{", ".join(names[:-1])} {conjunction} {names[-1]}'
