"""Attributes of detections, from a model's tensors to plain data."""

from __future__ import annotations

from typing import Any

import torch

from mmleuk.errors import UserError
from mmleuk.schema import IGNORE, AttributeSchema
from mmleuk.structures.prediction import AttributeReading


def readings(instances: Any, schema: AttributeSchema) -> list[dict[str, AttributeReading]]:
    """Attributes by key of each instance; empty dicts for a model without AttriHead.

    Raises:
        UserError: the model and the schema have different numbers of attributes.
    """
    if 'attributes' not in instances:
        return [{} for _ in range(len(instances))]
    values, probs = instances.attributes, instances.attribute_probs  # (N, A), (N, A, Vmax)
    if values.shape[1] != len(schema):
        raise UserError(f'the model predicts {values.shape[1]} attributes, the schema names {len(schema)}: '
                        f'{", ".join(schema.keys) or "none"}; config and checkpoint belong to different data sets')
    return [{key: _reading(schema, key, int(row[a]), prob[a]) for a, key in enumerate(schema.keys)}
            for row, prob in zip(values, probs)]


def _reading(schema: AttributeSchema, key: str, value: int, probs: torch.Tensor) -> AttributeReading:
    if value == IGNORE:
        return dict(value='unknown', value_index=IGNORE, prob=0.0)
    return dict(value=schema.decode(key, value), value_index=value, prob=float(probs[value]))


def all_probabilities(instances: Any, schema: AttributeSchema) -> list[dict[str, tuple[float, ...]]]:
    """Probabilities of all values by key of each instance; empty where the attributes are unknown."""
    if 'attributes' not in instances:
        return [{} for _ in range(len(instances))]
    return [{} if IGNORE in values else {key: tuple(row[:count]) for key, count, row in zip(
        schema.keys, schema.cardinalities, rows)} for values, rows in zip(
            instances.attributes.tolist(), instances.attribute_probs.tolist())]


def class_probabilities(instances: Any) -> list[tuple[float, ...] | None]:
    """Probability of every class of each instance, to five decimals; None where the model gives only the highest."""
    if 'class_probs' not in instances:
        return [None] * len(instances)
    return [tuple(round(value, 5) for value in row) for row in instances.class_probs.tolist()]
