"""Whether a suite's claims hold (:class:`benchmarking.claims.Check` describes each kind)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from benchmarking.claims import Claim
from benchmarking.suite import Suite
from benchmarking.summary import RowSummary, Spread, gap_closed, on_same_seeds
from mmleuk.evaluation.intervals import t_half_width
from mmleuk.utils.words import plural_n

_LOST_BY_ONE = ('worst_above_best', 'above_seed_by_seed')
ONE_SEED_MARGIN = 0.03
"""A smaller difference says nothing where a row has one seed: three seeds of a row of txl_sparse differ by 0.007 to
0.026 in mAP@50-95, differences of two rows seed by seed by up to 0.035."""


@dataclass(frozen=True)
class Verdict:
    """``met``, ``not met``, ``undecided`` (seeds disagree) or ``open`` (a row is not measured yet), and the numbers."""

    claim: str
    state: str
    numbers: str


def judge(suite: Suite, rows: Mapping[str, RowSummary]) -> list[Verdict]:
    """A verdict per claim of the suite."""
    return [_verdict(suite, rows, claim) for claim in suite.claims]


def _verdict(suite: Suite, rows: Mapping[str, RowSummary], claim: Claim) -> Verdict:
    names = [claim.row, *claim.others, *([suite.roles['lower'], suite.roles['upper']]
                                         if claim.kind == 'gap_closed' else [])]
    missing = [name for name in names if not rows[name].complete or not _has_metric(rows[name], claim)]
    compare: Callable[..., tuple[bool | None, str]] = dict(
        worst_above_best=_worst_above_best, above_seed_by_seed=_above_seed_by_seed, mean_above=_mean_above,
        gap_closed=_gap_closed, at_least=_at_least, reaches=_reaches)[claim.kind]
    if missing:
        waits_for = ', '.join(f'{name} (failed)' if rows[name].failed else name for name in missing)
        measured = tuple(name for name in claim.others if name not in missing)
        if claim.kind in _LOST_BY_ONE and claim.row not in missing and measured:
            met, numbers = compare(suite, rows, replace(claim, others=measured))
            if met is False:
                return Verdict(claim.words, 'not met', f'{claim.metric}: {numbers}; still to run: {waits_for}')
        return Verdict(claim.words, 'open', f'waits for {waits_for}')
    met, numbers = compare(suite, rows, claim)
    state = 'undecided' if met is None else 'met' if met else 'not met'
    return Verdict(claim.words, state, f'{claim.metric}: {numbers}')


def _has_metric(row: RowSummary, claim: Claim) -> bool:
    """Whether a comparison has all of a row's seeds; a scalar of one row may come from some of them."""
    seeds = set(row.by_seed.get(claim.metric, ()))
    return bool(seeds) and (claim.kind == 'at_least' or seeds == set(row.done))


def _worst_above_best(suite: Suite, rows: Mapping[str, RowSummary], claim: Claim) -> tuple[bool, str]:
    worst = rows[claim.row].metrics[claim.metric].low
    best = {name: rows[name].metrics[claim.metric].high for name in claim.others}
    return worst > max(best.values()), f'worst {worst:.3f}; best of {_listed(best)}'


def _above_seed_by_seed(suite: Suite, rows: Mapping[str, RowSummary], claim: Claim) -> tuple[bool | None, str]:
    own = rows[claim.row].by_seed[claim.metric]
    of_seeds = {name: rows[name].by_seed[claim.metric] for name in claim.others}
    pairs = [(seed, value, {name: others[seed] for name, others in of_seeds.items() if seed in others})
             for seed, value in own.items()]
    pairs = [(seed, value, others) for seed, value, others in pairs if others]
    met: bool | None = all(value > max(others.values()) for _, value, others in pairs)
    if met and not all(set(own) & set(others) for others in of_seeds.values()):
        met = None  # a row shares no seed with it, so nothing was compared
    numbers = '; '.join(f'seed {seed} {value:.3f}, {_listed(others)}' for seed, value, others in pairs)
    return met, numbers or 'no seed is in both'


def _mean_above(suite: Suite, rows: Mapping[str, RowSummary], claim: Claim) -> tuple[bool | None, str]:
    pairs = {name: on_same_seeds([rows[claim.row], rows[name]], claim.metric) for name in claim.others}
    verdicts = [_is_above(own, other) for own, other in pairs.values()]
    met = False if False in verdicts else None if None in verdicts else True
    differences = {name: _difference(rows[claim.row].by_seed[claim.metric], rows[name].by_seed[claim.metric])
                   for name in claim.others}
    return met, '; '.join(f'mean {own.text()}, {name} {_with_seeds(other)}{differences[name]}'
                          for name, (own, other) in pairs.items())


def _difference(own: Mapping[int, float], other: Mapping[int, float]) -> str:
    """The mean difference seed by seed with its 95% t interval, where two rows share two seeds or more.

    >>> _difference({0: 0.52, 1: 0.53, 2: 0.54}, {2: 0.53, 0: 0.50, 1: 0.50, 3: 0.9})
    ', difference +0.020 ± 0.025'
    >>> _difference({0: 0.5, 1: 0.5}, {0: 0.4})
    ''
    """
    differences = [value - other[seed] for seed, value in own.items() if seed in other]
    if len(differences) < 2:
        return ''
    return f', difference {fmean(differences):+.3f} ± {t_half_width(differences):.3f}'


def _is_above(one: Spread, other: Spread) -> bool | None:
    """None where it may be chance: ranges of the seeds that touch, or a small difference from one seed.

    >>> _is_above(Spread((0.7, 0.6)), Spread((0.5, 0.58))), _is_above(Spread((0.5,)), Spread((0.7, 0.6)))
    (True, False)
    >>> _is_above(Spread((0.7, 0.6)), Spread((0.5, 0.65))), _is_above(Spread((0.61,)), Spread((0.6,)))
    (None, None)
    >>> _is_above(Spread((0.696,)), Spread((0.666,)))
    True
    """
    if min(len(one.values), len(other.values)) == 1 and round(abs(one.mean - other.mean), 6) < ONE_SEED_MARGIN:
        return None
    return True if one.low > other.high else False if one.high < other.low else None


def _with_seeds(spread: Spread) -> str:
    """The text of a spread, and how many seeds made it."""
    return f'{spread.text()} of {plural_n(len(spread.values), "seed")}'


def _gap_closed(suite: Suite, rows: Mapping[str, RowSummary], claim: Claim) -> tuple[bool, str]:
    own, lower_seeds, upper_seeds = on_same_seeds(
        [rows[claim.row], rows[suite.roles['lower']], rows[suite.roles['upper']]], claim.metric)
    worst, lower, upper = own.low, lower_seeds.mean, upper_seeds.mean
    share = gap_closed(worst, lower, upper)
    if share is None:
        return False, f'there is no gap: {suite.roles["lower"]} {lower:.3f}, {suite.roles["upper"]} {upper:.3f}'
    return share >= claim.threshold, (f'worst {worst:.3f}, {_share(share, claim.threshold, 0)} of the way from '
                                    f'{lower:.3f} to {upper:.3f}; wanted {100 * claim.threshold:g}%')


def _at_least(suite: Suite, rows: Mapping[str, RowSummary], claim: Claim) -> tuple[bool, str]:
    mean = rows[claim.row].metrics[claim.metric].mean
    met = mean >= claim.threshold
    texts = [f'{mean:.{digits}g}' for digits in range(3, 9)]
    told = _first_that_fits(texts, met, lambda text: float(text) >= claim.threshold)
    return met, f'{told}; wanted {claim.threshold:g}'


def _reaches(suite: Suite, rows: Mapping[str, RowSummary], claim: Claim) -> tuple[bool, str]:
    name, = claim.others
    own, other = on_same_seeds([rows[claim.row], rows[name]], claim.metric)
    met = own.mean >= claim.threshold * other.mean
    share = f', {_share(own.mean / other.mean, claim.threshold, 1)} of it' if other.mean else ''
    return met, f'{own.text()}, {name} {_with_seeds(other)}{share}; wanted {100 * claim.threshold:g}%'


def _share(share: float, wanted: float, digits: int) -> str:
    """A share in percent, with as many more digits as tell whether it is the wanted one at least.

    >>> _share(0.496, 0.5, 0), _share(0.504, 0.5, 0), _share(0.9696, 0.97, 1)
    ('49.6%', '50%', '96.96%')
    """
    texts = [f'{share:.{more}%}' for more in range(digits, digits + 5)]
    return _first_that_fits(texts, share >= wanted, lambda text: float(text[:-1]) >= round(100 * wanted, 6))


def _first_that_fits(texts: Sequence[str], met: bool, says: Callable[[str], bool]) -> str:
    """The shortest text that says the same as the exact number; the longest where none does."""
    return next((text for text in texts if says(text) == met), texts[-1])


def _listed(values: Mapping[str, float]) -> str:
    return ', '.join(f'{name} {value:.3f}' for name, value in values.items())
