"""What a suite claims of its rows, as its YAML says it; :mod:`benchmarking.checks` says whether it holds."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field, model_validator

from benchmarking.yaml_files import Strict, Text


class _Compared(Strict):
    row: str
    of: list[Text] = Field(min_length=1)
    metric: str = ''


class _Share(Strict):
    row: str
    share: float = Field(gt=0, le=1)
    metric: str = ''


class _Reached(Strict):
    row: str
    of: str
    share: float = Field(gt=0)
    metric: str = ''


class _Value(Strict):
    row: str
    value: float
    metric: str = ''


class Check(Strict):
    """A claim in words, and one of the kinds below; :mod:`benchmarking.checks` says whether it holds.

    Attributes:
        claim: what is claimed.
        worst_above_best: ``{row: A, of: [B, ...], metric: TITLE}``: A's worst seed beats the best seed of each B.
        above_seed_by_seed: likewise: A beats each B in every seed that both have. A seed gives rows of the same network
            the same initial weights and the same order of images, so its luck cancels out.
        mean_above: likewise: A's mean is above each B's over the seeds that both have, by more than seeds differ:
            *met* or *not met* only where all of A's lie on one side of all of B's, and where there is one seed by 0.03
            at least; else *undecided*.
        gap_closed: ``{row: A, share: 0.5, metric: TITLE}``: A's worst seed lies at least that share of the way from the
            mean of the role ``lower`` to that of ``upper``, of the seeds that all three have.
        at_least: ``{row: A, value: 0.1, metric: TITLE}``: A's mean, of a scalar for instance.
        reaches: ``{row: A, of: B, share: 0.94, metric: TITLE}``: A's mean is at least that share of B's, over the seeds
            that both have.

    ``metric`` is the title of a column, by default the suite's first. The first two are *not met* as soon as one of the
    others that are measured is not beaten: what is still to run cannot change it.
    """

    claim: str
    worst_above_best: _Compared | None = None
    above_seed_by_seed: _Compared | None = None
    mean_above: _Compared | None = None
    gap_closed: _Share | None = None
    at_least: _Value | None = None
    reaches: _Reached | None = None

    @model_validator(mode='after')
    def _is_of_one_kind(self) -> Check:
        if len(self.model_fields_set) != 2:
            kinds = [name for name in type(self).model_fields if name != 'claim']
            raise ValueError(f'needs claim and one of {", ".join(kinds)}')
        return self


@dataclass(frozen=True)
class Claim:
    """A check with its defaults filled in.

    Attributes:
        words: what is claimed.
        kind: one of :class:`Check`'s.
        row: of which row.
        metric: title of the column.
        others: names of the rows that it is compared with.
        threshold: the share of the gap or of the other row, or the value.
    """

    words: str
    kind: str
    row: str
    metric: str
    others: tuple[str, ...] = ()
    threshold: float = 0.0
