"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as a Markdown table; the first is the head.

    >>> print(markdown_table([['a', 'b'], ['1', 'x|y']]))
    | a | b |
    | --- | --- |
    | 1 | x\\|y |
    """
    head, *body = [[cell.replace('|', '\\|') for cell in row] for row in rows]
    return '\n'.join(f'| {" | ".join(line)} |' for line in [head, ['---'] * len(head), *body])
