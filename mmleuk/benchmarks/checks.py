"""Claims that a suite declares about its rows; whether they hold is for the numbers to say.

Each is a dict with ``claim`` (words) and one of

- ``worst_above_best: {row: A, of: [B, ...], metric: TITLE}``: A's worst seed beats the best seed of each B;
- ``above_seed_by_seed: {row: A, of: [B, ...], metric: TITLE}``: A beats each B in every seed that both have. A seed
  gives rows of the same network the same initial weights and the same order of images, so its luck cancels out;
- ``mean_above: {row: A, of: [B, ...], metric: TITLE}``: A's mean is above each B's over the seeds that both have, by
  more than seeds differ: *met* or *not met* only where all of A's lie on one side of all of B's, and where there is one
  by 0.02 at least; else *undecided*;
- ``gap_closed: {row: A, share: 0.5, metric: TITLE}``: A's worst seed lies at least that share of the way from the mean
  of the role ``lower`` to that of ``upper``;
- ``at_least: {row: A, value: 0.1, metric: TITLE}``: A's mean, of a scalar for instance.

``metric`` is the title of a column; by default the suite's first. The first two are *not met* as soon as one of the
others that are measured is not beaten: what is still to run can't mend it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mmleuk.benchmarks.suite import Suite
from mmleuk.benchmarks.summary import RowSummary, Spread, gap_closed, on_same_seeds
from mmleuk.errors import UserError
from mmleuk.report.sentence import plural_n

KINDS: Mapping[str, frozenset[str]] = {
    'worst_above_best': frozenset({'row', 'of'}), 'above_seed_by_seed': frozenset({'row', 'of'}),
    'mean_above': frozenset({'row', 'of'}), 'gap_closed': frozenset({'row', 'share'}),
    'at_least': frozenset({'row', 'value'})}


_LOST_BY_ONE = ('worst_above_best', 'above_seed_by_seed')
ONE_SEED_MARGIN = 0.02
"""A smaller difference says nothing where a row has one seed: three of SLA-Det+ differ by 0.007."""


@dataclass(frozen=True)
class Verdict:
    """``met``, ``not met``, ``undecided`` (seeds say both) or ``open`` (a row is not measured yet), and the numbers."""

    claim: str
    state: str
    numbers: str


def judge(suite: Suite, rows: Mapping[str, RowSummary]) -> list[Verdict]:
    """A verdict per check of the suite.

    Raises:
        UserError: a check is malformed, or names a row or metric that the suite does not have.
    """
    return [_verdict(suite, rows, check, f'suite {suite.name}, check {number}')
            for number, check in enumerate(suite.checks, start=1)]


def _verdict(suite: Suite, rows: Mapping[str, RowSummary], check: Any, where: str) -> Verdict:
    kind, what, metric = _parsed(suite, check, where)
    names = [what['row'], *what.get('of', []), *([suite.roles['lower'], suite.roles['upper']]
                                                 if kind == 'gap_closed' else [])]
    missing = [name for name in names if not rows[name].complete or metric not in rows[name].metrics]
    compare: Callable[..., tuple[bool | None, str]] = dict(
        worst_above_best=_worst_above_best, above_seed_by_seed=_above_seed_by_seed, mean_above=_mean_above,
        gap_closed=_gap_closed, at_least=_at_least)[kind]
    if missing:
        measured = [name for name in what.get('of', []) if name not in missing]
        if kind in _LOST_BY_ONE and what['row'] not in missing and measured:
            met, numbers = compare(suite, rows, what | dict(of=measured), metric)
            if not met:
                return Verdict(check['claim'], 'not met', f'{metric}: {numbers}; still to run: {", ".join(missing)}')
        return Verdict(check['claim'], 'open', f'waits for {", ".join(missing)}')
    met, numbers = compare(suite, rows, what, metric)
    state = 'undecided' if met is None else 'met' if met else 'not met'
    return Verdict(check['claim'], state, f'{metric}: {numbers}')


def _parsed(suite: Suite, check: Any, where: str) -> tuple[str, dict[str, Any], str]:
    kinds = set(check) - {'claim'} if isinstance(check, dict) else set()
    if len(kinds) != 1 or 'claim' not in check or not kinds <= set(KINDS):
        raise UserError(f'{where}: needs claim and one of {", ".join(KINDS)}; got {check!r:.120}')
    kind = kinds.pop()
    what = check[kind]
    if not isinstance(what, dict) or set(what) - {'metric'} != KINDS[kind]:
        raise UserError(f'{where}: {kind} takes {", ".join(sorted(KINDS[kind]))} and maybe metric; got {what!r:.120}')
    known = {row.name for row in suite.rows}
    strange = [name for name in [what['row'], *what.get('of', [])] if name not in known]
    if strange:
        raise UserError(f'{where}: {strange[0]!r} is none of the rows {", ".join(sorted(known))}')
    if kind == 'gap_closed' and not {'lower', 'upper'} <= set(suite.roles):
        raise UserError(f'{where}: gap_closed needs the roles lower and upper')
    metric = what.get('metric', next(iter(suite.metrics)))
    titles = [*suite.metrics, *suite.scalars, *(f'AP {name}' for name in suite.classes)]
    if metric not in titles:
        raise UserError(f'{where}: metric {metric!r} is none of {", ".join(titles)}')
    return kind, what, metric


def _worst_above_best(suite: Suite, rows: Mapping[str, RowSummary], what: dict, metric: str) -> tuple[bool, str]:
    worst = rows[what['row']].metrics[metric].low
    best = {name: rows[name].metrics[metric].high for name in what['of']}
    return worst > max(best.values()), f'worst {worst:.3f}; best of {_listed(best)}'


def _above_seed_by_seed(suite: Suite, rows: Mapping[str, RowSummary], what: dict, metric: str) -> tuple[bool, str]:
    own = rows[what['row']].by_seed[metric]
    of_seeds = {name: rows[name].by_seed[metric] for name in what['of']}
    pairs = [(seed, value, {name: others[seed] for name, others in of_seeds.items() if seed in others})
             for seed, value in own.items()]
    pairs = [(seed, value, others) for seed, value, others in pairs if others]
    met = bool(pairs) and all(value > max(others.values()) for _, value, others in pairs)
    numbers = '; '.join(f'seed {seed} {value:.3f}, {_listed(others)}' for seed, value, others in pairs)
    return met, numbers or 'no seed is in both'


def _mean_above(suite: Suite, rows: Mapping[str, RowSummary], what: dict, metric: str) -> tuple[bool | None, str]:
    pairs = {name: on_same_seeds([rows[what['row']], rows[name]], metric) for name in what['of']}
    verdicts = [_is_above(own, other) for own, other in pairs.values()]
    met = False if False in verdicts else None if None in verdicts else True
    return met, '; '.join(f'mean {own.text()}, {name} {_with_seeds(other)}' for name, (own, other) in pairs.items())


def _is_above(one: Spread, other: Spread) -> bool | None:
    """None where it may be chance: ranges of the seeds that touch, or a small difference from one seed.

    >>> _is_above(Spread((0.7, 0.6)), Spread((0.5, 0.58))), _is_above(Spread((0.5,)), Spread((0.7, 0.6)))
    (True, False)
    >>> _is_above(Spread((0.7, 0.6)), Spread((0.5, 0.65))), _is_above(Spread((0.61,)), Spread((0.6,)))
    (None, None)
    """
    if min(len(one.values), len(other.values)) == 1 and abs(one.mean - other.mean) < ONE_SEED_MARGIN:
        return None
    return True if one.low > other.high else False if one.high < other.low else None


def _with_seeds(spread: Spread) -> str:
    """The text of a spread, and how many seeds made it."""
    return f'{spread.text()} of {plural_n(len(spread.values), "seed")}'


def _gap_closed(suite: Suite, rows: Mapping[str, RowSummary], what: dict, metric: str) -> tuple[bool, str]:
    lower, upper = (rows[suite.roles[role]].metrics[metric].mean for role in ('lower', 'upper'))
    worst = rows[what['row']].metrics[metric].low
    share = gap_closed(worst, lower, upper)
    if share is None:
        return False, f'there is no gap: {suite.roles["lower"]} {lower:.3f}, {suite.roles["upper"]} {upper:.3f}'
    return share >= what['share'], (f'worst {worst:.3f}, {share:.0%} of the way from {lower:.3f} to {upper:.3f}; '
                                    f'wanted {what["share"]:.0%}')


def _at_least(suite: Suite, rows: Mapping[str, RowSummary], what: dict, metric: str) -> tuple[bool, str]:
    mean = rows[what['row']].metrics[metric].mean
    return mean >= what['value'], f'{mean:.3g}; wanted {what["value"]:g}'


def _listed(values: Mapping[str, float]) -> str:
    return ', '.join(f'{name} {value:.3f}' for name, value in values.items())
