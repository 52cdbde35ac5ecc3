"""A suite's JSONs as numbers per row: mean and spread over seeds, share of a gap. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from benchmarking.results import DONE, FAILED
from benchmarking.suite import Case, Row, Suite
from mmleuk.evaluation.intervals import t_half_width

Records = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Spread:
    """One number per seed.

    >>> Spread((0.5, 0.7, 0.6)).text()
    '0.600 (0.500..0.700)'
    >>> Spread((0.5, 0.7, 0.6)).text(interval=True)
    '0.600 ± 0.248 (0.500..0.700)'
    >>> Spread((0.5,)).text()
    '0.500'
    """

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return fmean(self.values)

    @property
    def low(self) -> float:
        """The value of the worst seed, where more is better."""
        return min(self.values)

    @property
    def high(self) -> float:
        """The best seed's."""
        return max(self.values)

    def text(self, digits: int = 3, interval: bool = False) -> str:
        """Mean, and where there are several seeds their range, after the 95% t interval of the mean if asked for."""
        mean = f'{self.mean:.{digits}f}'
        half = t_half_width(self.values) if interval else None
        mean += '' if half is None else f' ± {half:.{digits}f}'
        return mean if len(self.values) == 1 else f'{mean} ({self.low:.{digits}f}..{self.high:.{digits}f})'


@dataclass(frozen=True)
class RowSummary:
    """What is known of a row.

    Attributes:
        row: the row.
        done, failed, waiting: its seeds, by what became of them.
        by_seed: column title -> seed -> value, of the seeds that are done and have it; class names and scalars are
            titles, too.
        seconds: of one training.
        parameters: of the model, in the first record.
    """

    row: Row
    done: tuple[int, ...] = ()
    failed: tuple[int, ...] = ()
    waiting: tuple[int, ...] = ()
    by_seed: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    seconds: Spread | None = None
    parameters: int | None = None

    @property
    def complete(self) -> bool:
        """Whether all seeds are done."""
        return not self.failed and not self.waiting

    @property
    def metrics(self) -> dict[str, Spread]:
        """Each column over its seeds."""
        return {title: Spread(tuple(values.values())) for title, values in self.by_seed.items()}


def summarise(suite: Suite, records: Records) -> dict[str, RowSummary]:
    """Rows by name, in the suite's order.

    Args:
        suite: the suite.
        records: by the trainings' names, as :func:`benchmarking.results.current_results` gives them: all count.
    """
    return {row.name: _summary(suite, row, records) for row in suite.rows}


def on_same_seeds(rows: Sequence[RowSummary], title: str) -> list[Spread]:
    """A column of several rows over the seeds that all of them have, or over all seeds if they share none.

    A seed gives rows of the same network the same initial weights and order of images: a row with one lucky seed would
    look better than one with three.
    """
    found = [row.by_seed[title] for row in rows]
    shared = [seed for seed in found[0] if all(seed in other for other in found)]
    return [Spread(tuple(values[seed] for seed in shared or values)) for values in found]


def seed_of_all(rows: Mapping[str, RowSummary]) -> int | None:
    """The seed for comparing rows when some have more seeds than others; None if all have the same."""
    done = [set(row.done) for row in rows.values() if row.done]
    shared = set.intersection(*done) if done else set()
    return min(shared) if shared and any(seeds != shared for seeds in done) else None


def gap_closed(value: float, lower: float, upper: float) -> float | None:
    """The share of the way from ``lower`` to ``upper`` that ``value`` reaches; None if both are equal.

    >>> gap_closed(0.575, lower=0.55, upper=0.60)
    0.5
    """
    return None if upper <= lower else round((value - lower) / (upper - lower), 6)


def keys_of(suite: Suite) -> dict[str, str]:
    """Column title -> key of the final metrics, classes included."""
    return {**suite.metrics, **{f'AP {name}': f'coco/{name}_precision' for name in suite.classes}}


def _summary(suite: Suite, row: Row, records: Records) -> RowSummary:
    found = {seed: records.get(Case.of_row(suite.name, row, seed).name) for seed in row.seeds}
    done = {seed: record for seed, record in found.items() if record and record['status'] == DONE}
    failed = tuple(seed for seed, record in found.items() if record and record['status'] == FAILED)
    measured = list(done.values())
    columns = {title: {seed: record['metrics'][key] for seed, record in done.items() if key in record['metrics']}
               for title, key in keys_of(suite).items()}
    columns |= {title: {seed: value for seed, record in done.items() if (value := _scalar(record, key)) is not None}
                for title, key in suite.scalars.items()}
    return RowSummary(
        row=row, done=tuple(done), failed=failed,
        waiting=tuple(seed for seed in row.seeds if found[seed] is None),
        by_seed={title: values for title, values in columns.items() if values},
        seconds=Spread(tuple(record['seconds'] for record in measured)) if measured else None,
        parameters=measured[0]['parameters'] if measured else None)


def _scalar(record: Mapping[str, Any], key: str) -> float | None:
    """Mean over the epochs that have it."""
    values = [epoch[key] for epoch in record['scalars'].values() if key in epoch]
    return fmean(values) if values else None


def curve(records: Sequence[Mapping[str, Any]], key: str) -> dict[int, Spread]:
    """A metric by epoch over the seeds that were evaluated then."""
    epochs = sorted({int(epoch) for record in records for epoch in record['evaluations']})
    values = {epoch: tuple(record['evaluations'][str(epoch)][key] for record in records
                           if key in record['evaluations'].get(str(epoch), {})) for epoch in epochs}
    return {epoch: Spread(found) for epoch, found in values.items() if found}
