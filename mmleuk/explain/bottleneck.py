"""A cell's type from the probabilities of its attributes, and what each of them contributes (WBCAtt+ 5.2, D.4).

Both kinds of model are sums over the probabilities of attribute values, which is why they can be explained: a score of
a type is an intercept plus one term per probability.

Legend: N cells, C types, A attributes, K values of all attributes together.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mmleuk.errors import UserError
from mmleuk.schema import AttributeSchema
from mmleuk.utils.files import write_atomic
from mmleuk.utils.json_files import read_json

FORMAT = 'mmleuk.bottleneck/1'
KINDS = ('linear', 'boosted')


@dataclass(frozen=True)
class Stumps:
    """Trees of depth 1: each adds ``low`` to a score where a probability is at most its threshold, else ``high``.

    Args:
        types: (T,) int, index of the type.
        columns: (T,) int, index of the probability.
        thresholds, low, high: (T,) float; thresholds compare float32 values, as scikit-learn does.
    """

    types: np.ndarray
    columns: np.ndarray
    thresholds: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Bottleneck:
    """Probabilities of attribute values -> probabilities of cell types.

    Args:
        kind: 'linear' (softmax regression with L1, one type against the rest) or 'boosted' (sum of stumps).
        types: C names.
        schema: the A attributes; their values in order are the K inputs.
        intercepts: (C,) float.
        weights: (C, K) float of a linear one; zeros otherwise.
        stumps: of a boosted one.
        facts: where it comes from, for the page.
    """

    kind: str
    types: tuple[str, ...]
    schema: AttributeSchema
    intercepts: np.ndarray
    weights: np.ndarray
    stumps: Stumps | None = None
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def spans(self) -> list[slice]:
        """The columns of each attribute's values, in the schema's order."""
        ends = np.cumsum(self.schema.cardinalities).tolist()
        return [slice(end - count, end) for end, count in zip(ends, self.schema.cardinalities)]

    def terms(self, concepts: np.ndarray) -> np.ndarray:
        """What each probability adds to each type's score: (N, K) -> (N, C, K)."""
        concepts = self._checked(concepts)
        terms = self.weights[None] * concepts[:, None, :]
        if self.stumps is not None:
            stumps = self.stumps
            is_low = concepts.astype(np.float32)[:, stumps.columns] <= stumps.thresholds
            added = np.where(is_low, stumps.low, stumps.high)
            # unbuffered: several stumps share a type and a probability
            np.add.at(terms.transpose(1, 2, 0), (stumps.types, stumps.columns), added.T)
        return terms

    def contributions(self, concepts: np.ndarray) -> np.ndarray:
        """What each attribute adds to each type's score, its values together: (N, K) -> (N, C, A)."""
        terms = self.terms(concepts)
        return np.stack([terms[:, :, span].sum(2) for span in self.spans], 2)

    def scores(self, concepts: np.ndarray) -> np.ndarray:
        """(N, K) probabilities of attribute values -> (N, C) scores of types."""
        return self.intercepts + self.terms(concepts).sum(2)

    def probabilities(self, concepts: np.ndarray) -> np.ndarray:
        """(N, K) -> (N, C) float64, rows add up to 1.

        As scikit-learn: the sigmoids of a linear one divided by their sum, the softmax of a boosted one.
        """
        scores = self.scores(concepts)
        if self.kind == 'linear':
            shares = 1 / (1 + np.exp(-scores.clip(-500, 500)))
        else:
            shares = np.exp(scores - scores.max(1, keepdims=True))
        return shares / shares.sum(1, keepdims=True)

    def _checked(self, concepts: np.ndarray) -> np.ndarray:
        concepts = np.asarray(concepts, float)
        if concepts.ndim != 2 or concepts.shape[1] != sum(self.schema.cardinalities):
            raise UserError(f'the bottleneck reads {sum(self.schema.cardinalities)} probabilities per cell, of '
                            f'{", ".join(self.schema.keys)}; got an array of shape {concepts.shape}')
        return concepts

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; :meth:`from_dict` reads it back exactly."""
        stumps = None if self.stumps is None else {name: column.tolist() for name, column in vars(self.stumps).items()}
        return dict(format=FORMAT, kind=self.kind, types=list(self.types), schema=self.schema.to_dict(),
                    intercepts=self.intercepts.tolist(), weights=self.weights.tolist(), stumps=stumps, facts=self.facts)

    def to_json(self, path: str | Path) -> Path:
        """Write a file; it appears whole or not at all."""
        return write_atomic(path, json.dumps(self.to_dict(), indent=1, allow_nan=False) + '\n')

    @classmethod
    def from_dict(cls, data: object, source: str = 'bottleneck') -> Bottleneck:
        """The bottleneck of :meth:`to_dict`.

        Raises:
            UserError: it is something else; the message names ``source``.
        """
        if not isinstance(data, dict) or data.get('format') != FORMAT or data.get('kind') not in KINDS:
            raise UserError(f'{source}: not a concept bottleneck (expected "format": "{FORMAT}"); mmleuk bottleneck '
                            'makes one')
        try:
            schema = AttributeSchema.from_dict(data['schema'])
            found = cls(data['kind'], tuple(data['types']), schema, np.array(data['intercepts'], float),
                        np.array(data['weights'], float), _stumps(data['stumps']), dict(data['facts']))
            shape = len(found.types), sum(schema.cardinalities)
            if found.intercepts.shape != shape[:1] or found.weights.shape != shape:
                raise ValueError(f'weights of shape {found.weights.shape} for {shape[0]} types and {shape[1]} values')
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f'{source}: broken concept bottleneck ({error}); make it again with mmleuk bottleneck'
                            ) from error
        return found

    @classmethod
    def from_json(cls, path: str | Path) -> Bottleneck:
        """Read a file of :meth:`to_json`.

        Raises:
            UserError: it is missing, broken or something else.
        """
        return cls.from_dict(read_json(path), str(path))


def _stumps(data: dict[str, Sequence[float]] | None) -> Stumps | None:
    if data is None:
        return None
    whole = {name: np.array(data[name], int) for name in ('types', 'columns')}
    return Stumps(**whole, **{name: np.array(data[name], float) for name in ('thresholds', 'low', 'high')})
