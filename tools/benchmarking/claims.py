"""What a suite claims of its rows; whether it holds is for :mod:`benchmarking.checks` to say.

Each is a dict with ``claim`` (words) and one of

- ``worst_above_best: {row: A, of: [B, ...], metric: TITLE}``: A's worst seed beats the best seed of each B;
- ``above_seed_by_seed: {row: A, of: [B, ...], metric: TITLE}``: A beats each B in every seed that both have. A seed
  gives rows of the same network the same initial weights and the same order of images, so its luck cancels out;
- ``mean_above: {row: A, of: [B, ...], metric: TITLE}``: A's mean is above each B's over the seeds that both have, by
  more than seeds differ: *met* or *not met* only where all of A's lie on one side of all of B's, and where there is one
  by 0.03 at least; else *undecided*;
- ``gap_closed: {row: A, share: 0.5, metric: TITLE}``: A's worst seed lies at least that share of the way from the mean
  of the role ``lower`` to that of ``upper``, of the seeds that all three have;
- ``at_least: {row: A, value: 0.1, metric: TITLE}``: A's mean, of a scalar for instance.

``metric`` is the title of a column; by default the suite's first. The first two are *not met* as soon as one of the
others that are measured is not beaten: what is still to run can't mend it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarking.fields import check_keys, check_one_of, text_at, texts_at
from mmleuk.errors import UserError

KINDS: Mapping[str, str] = {
    'worst_above_best': 'of', 'above_seed_by_seed': 'of', 'mean_above': 'of', 'gap_closed': 'share',
    'at_least': 'value'}
"""What each takes beside ``row`` and ``metric``."""


@dataclass(frozen=True)
class Claim:
    """One claim.

    Attributes:
        words: what is claimed.
        kind: one of :data:`KINDS`.
        row: of which row.
        metric: title of the column.
        others: names of the rows that it is compared with.
        threshold: the share of the gap, or the value.
    """

    words: str
    kind: str
    row: str
    metric: str
    others: tuple[str, ...] = ()
    threshold: float = 0.0


def read_claim(data: Any, rows: Collection[str], roles: Collection[str], titles: Sequence[str], where: str) -> Claim:
    """Read a claim's YAML.

    Args:
        data: as read.
        rows: names of the suite's rows.
        roles: that the suite gives to rows.
        titles: of its columns, the usual one first.
        where: file and number, for messages.

    Raises:
        UserError: it is malformed, or names a row or column that the suite doesn't have.
    """
    kinds = [key for key in data if key != 'claim'] if isinstance(data, dict) else []
    if len(kinds) != 1 or 'claim' not in data or kinds[0] not in KINDS:
        raise UserError(f'{where}: needs claim and one of {", ".join(KINDS)}; got {data!r:.120}')
    kind, own = kinds[0], KINDS[kinds[0]]
    what, where = data[kind], f'{where}: {kind}'
    check_keys(what, {'row', own, 'metric'}, {'row', own}, where)
    if kind == 'gap_closed' and not {'lower', 'upper'} <= set(roles):
        raise UserError(f'{where}: it needs the roles lower and upper')
    others = texts_at(what, 'of', where) if own == 'of' else []
    if own == 'of' and not others:
        raise UserError(f'{where}: of is empty; list the rows to compare with')
    row, metric = text_at(what, 'row', where), text_at(what, 'metric', where) or titles[0]
    check_one_of([row, *others], rows, 'rows', where)
    check_one_of([metric], titles, 'columns', where)
    return Claim(text_at(data, 'claim', where), kind, row, metric, tuple(others),
                 0.0 if own == 'of' else _threshold(what[own], kind, own, where))


def _threshold(value: Any, kind: str, key: str, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UserError(f'{where}: {key} is a number, got {value!r:.60}')
    if kind == 'gap_closed' and not 0 < value <= 1:
        raise UserError(f'{where}: {key} lies above 0 and at most at 1, got {value}')
    return value
