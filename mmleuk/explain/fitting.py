"""Fit a concept bottleneck with scikit-learn, and keep it as plain numbers (WBCAtt+ D.4, D.7)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import SGDClassifier

from mmleuk.errors import UserError
from mmleuk.explain.bottleneck import KINDS, Bottleneck, Stumps
from mmleuk.schema import AttributeSchema


def flat_concepts(probabilities: np.ndarray, schema: AttributeSchema) -> np.ndarray:
    """(N, A, Vmax) probabilities, zero beyond an attribute's own values -> (N, K)."""
    parts = [probabilities[:, index, :count] for index, count in enumerate(schema.cardinalities)]
    return np.concatenate(parts, 1).astype(float)


def fit_bottleneck(kind: str, concepts: np.ndarray, labels: Sequence[str], schema: AttributeSchema, *,
                   seed: int = 0) -> Bottleneck:
    """Fit one kind of bottleneck.

    Args:
        kind: 'linear': ``SGDClassifier(max_iter=1000, loss='log_loss', penalty='l1')``; 'boosted':
            ``GradientBoostingClassifier(n_estimators=256, learning_rate=1, max_depth=1)``.
        concepts: (N, K) probabilities of attribute values.
        labels: N types.
        schema: the attributes.
        seed: of the order in which the linear one sees the cells, and of ties between splits.

    Raises:
        UserError: there is another kind, no cell, or only one type.
    """
    if kind not in KINDS:
        raise UserError(f'unknown bottleneck {kind!r}; known are {", ".join(KINDS)}')
    if len(set(labels)) < 2:
        raise UserError(f'{len(labels)} cells of {len(set(labels))} types; a bottleneck needs cells of at least two')
    return (_fit_linear if kind == 'linear' else _fit_boosted)(concepts, labels, schema, seed)


def linear_model(seed: int) -> SGDClassifier:
    """The paper's linear classifier."""
    return SGDClassifier(max_iter=1000, loss='log_loss', penalty='l1', random_state=seed)


def boosted_model(seed: int) -> GradientBoostingClassifier:
    """The paper's gradient boosting."""
    return GradientBoostingClassifier(n_estimators=256, learning_rate=1, max_depth=1, random_state=seed)


def _fit_linear(concepts: np.ndarray, labels: Sequence[str], schema: AttributeSchema, seed: int) -> Bottleneck:
    model = linear_model(seed).fit(concepts, np.asarray(labels))
    weights, intercepts = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # scikit-learn keeps one row: that of the second type
        weights, intercepts = np.concatenate([-weights, weights]), np.concatenate([-intercepts, intercepts])
    return Bottleneck('linear', tuple(model.classes_.tolist()), schema, intercepts, weights)


def _fit_boosted(concepts: np.ndarray, labels: Sequence[str], schema: AttributeSchema, seed: int) -> Bottleneck:
    model = boosted_model(seed).fit(concepts, np.asarray(labels))
    types = model.classes_.tolist()
    rows = []
    for stage in model.estimators_:
        for index, regressor in enumerate(stage):
            tree = regressor.tree_
            values = model.learning_rate * tree.value[:, 0, 0]
            # A tree without a split adds the same everywhere.
            low, high = (values[0], values[0]) if tree.node_count == 1 else (
                values[tree.children_left[0]], values[tree.children_right[0]])
            rows.append((index, max(int(tree.feature[0]), 0), float(tree.threshold[0]), float(low), float(high)))
    of_type, columns, thresholds, low, high = (np.array(column) for column in zip(*rows))
    start = _start_scores(model, concepts)
    if len(types) == 2:  # one score, of the second type; a softmax with 0 for the first is its sigmoid
        of_type, start = np.ones_like(of_type), np.array([0.0, start[0]])
    return Bottleneck('boosted', tuple(types), schema, start, np.zeros((len(types), concepts.shape[1])),
                      Stumps(of_type, columns, thresholds, low, high))


def _start_scores(model: GradientBoostingClassifier, concepts: np.ndarray) -> np.ndarray:
    """Scores before the first tree: what the decision function has beyond its trees."""
    one = concepts[:1].astype(np.float32)
    grown = sum(model.learning_rate * np.array([tree.predict(one)[0] for tree in stage])
                for stage in model.estimators_)
    return np.ravel(model.decision_function(concepts[:1])) - grown
