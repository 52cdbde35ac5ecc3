"""Which attribute values a classifier makes more errors on (WBCAtt+ 5.4, D.6).

Cells with one value of an attribute are compared with all other cells of known value: over all cells the error rate,
and over the cells of one type the false-negative rate. Many values are compared, so the p-values of exact tests are
adjusted: of the findings at level alpha at most the share alpha is expected to be false.

Legend: N cells, A attributes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mmleuk.errors import UserError
from mmleuk.evaluation.proportions import benjamini_hochberg, exact_p, wilson_interval
from mmleuk.schema import IGNORE, AttributeSchema

ALL = 'all cells'
"""The scope of error rates; the scope of false-negative rates is a cell type."""


@dataclass(frozen=True)
class ValueRate:
    """How often a classifier errs on the cells with one attribute value.

    Args:
        scope: ALL, or the cell type whose cells are counted.
        key, value: attribute and name of its value.
        n, errors: cells with this value; those with a wrong type (in a type's scope these are its false negatives).
        other_n, other_errors: the same of all cells with another known value.
        interval: Wilson's 95% interval of the rate; None if n is 0.
        p: of Fisher's exact test that both rates are equal, two-sided.
        q: p adjusted for all tests by Benjamini and Hochberg.
        in_training: training cells of the scope with this value; None if no training table is known.
    """

    scope: str
    key: str
    value: str
    n: int
    errors: int
    other_n: int
    other_errors: int
    interval: tuple[float, float] | None
    p: float
    q: float
    in_training: int | None = None

    @property
    def rate(self) -> float | None:
        """Error or false-negative rate; None if n is 0."""
        return self.errors / self.n if self.n else None

    @property
    def other_rate(self) -> float | None:
        """The rate of all other cells of known value."""
        return self.other_errors / self.other_n if self.other_n else None

    def is_finding(self, alpha: float) -> bool:
        """Whether the rate is higher than elsewhere, at this level of false findings."""
        return self.q <= alpha and self.rate is not None and self.other_rate is not None and (
            self.rate > self.other_rate)


@dataclass(frozen=True)
class _Case:
    scope: str
    key: str
    value: int
    errors: int
    n: int
    other_errors: int
    other_n: int
    groups: frozenset[frozenset[int]]  # values of the cells on both sides

    @property
    def test(self) -> tuple:
        """The same for two cases that compare the same two groups, as the two values of a binary attribute."""
        return self.scope, self.key, self.groups


def value_rates(truth: Sequence[str], predicted: Sequence[str], values: np.ndarray, schema: AttributeSchema, *,
                types: Sequence[str] | None = None,
                training: Mapping[tuple[str, str, str], int] | None = None) -> list[ValueRate]:
    """Rates of every value in every scope, in the order of the schema; ALL comes first.

    Args:
        truth, predicted: N cell types each.
        values: (N, A) int, IGNORE where unknown.
        schema: the A attributes.
        types: whose false-negative rates are computed; default: all that occur in ``truth``, sorted.
        training: :func:`training_counts`.

    Raises:
        UserError: a type of ``types`` doesn't occur.
    """
    true, wrong = np.asarray(truth, object), np.array([a != b for a, b in zip(truth, predicted)], bool)
    present = sorted(set(truth))
    if unknown := [name for name in types or () if name not in present]:
        raise UserError(f'no cell has the true type {unknown[0]!r}; the types are {", ".join(present)}')
    scopes = {ALL: np.ones(len(true), bool)} | {name: true == name for name in (present if types is None else types)}
    cases = [case for scope, cells in scopes.items() for case in _cases(scope, wrong[cells], values[cells], schema)]
    # Both values of a binary attribute are one test: counting it twice would only make the others harder to find.
    p_values = {case.test: exact_p(case.errors, case.n, case.other_errors, case.other_n) for case in cases}
    adjusted = dict(zip(p_values, benjamini_hochberg(list(p_values.values()))))
    rates = []
    for case in cases:
        value = schema[case.key].values[case.value]
        seen = None if training is None else training.get((case.scope, case.key, value), 0)
        rates.append(ValueRate(case.scope, case.key, value, case.n, case.errors, case.other_n, case.other_errors,
                               wilson_interval(case.errors, case.n), p_values[case.test], adjusted[case.test], seen))
    return rates


def _cases(scope: str, wrong: np.ndarray, values: np.ndarray, schema: AttributeSchema) -> list[_Case]:
    """Counts of every value in one scope."""
    cases = []
    for column, attribute in zip(values.T, schema.attributes):
        known = column != IGNORE
        present = frozenset(column[known].tolist())
        for index in range(len(attribute.values)):
            has = column == index
            others = known & ~has
            groups = frozenset([present & {index}, present - {index}])
            cases.append(_Case(scope, attribute.key, index, int(wrong[has].sum()), int(has.sum()),
                               int(wrong[others].sum()), int(others.sum()), groups))
    return cases


def training_counts(labels: Sequence[str], values: np.ndarray,
                    schema: AttributeSchema) -> dict[tuple[str, str, str], int]:
    """Number of training cells by scope, attribute and value; what isn't there has none.

    Args:
        labels: cell type of each of M training cells.
        values: (M, A) int, IGNORE where unknown.
        schema: the A attributes.
    """
    types, counts = np.asarray(labels, object), {}
    scopes = {ALL: np.ones(len(types), bool)} | {name: types == name for name in sorted(set(labels))}
    for scope, cells in scopes.items():
        for column, attribute in zip(values[cells].T, schema.attributes):
            for index, value in enumerate(attribute.values):
                counts[scope, attribute.key, value] = int((column == index).sum())
    return counts


def findings(rates: Sequence[ValueRate], alpha: float) -> list[ValueRate]:
    """Values with a higher rate than elsewhere, the smallest adjusted p first."""
    return sorted((rate for rate in rates if rate.is_finding(alpha)), key=lambda rate: (rate.q, rate.p))
