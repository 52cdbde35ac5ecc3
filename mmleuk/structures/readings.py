"""Attributes of detections, from a model's arrays to plain data."""

from __future__ import annotations

import numpy as np

from mmleuk.errors import UserError
from mmleuk.schema import IGNORE, AttributeSchema
from mmleuk.structures.detections import Detections
from mmleuk.structures.prediction import AttributeReading


def readings(found: Detections, schema: AttributeSchema) -> list[dict[str, AttributeReading]]:
    """Attributes by key of each detection; empty dicts for a model without AttriHead.

    Raises:
        UserError: the model and the schema have different numbers of attributes.
    """
    if found.attributes is None or found.attribute_probs is None:
        return [{} for _ in range(len(found))]
    values, probs = found.attributes, found.attribute_probs  # (N, A), (N, A, Vmax)
    if values.shape[1] != len(schema):
        raise UserError(f'the model predicts {values.shape[1]} attributes, the schema names {len(schema)}: '
                        f'{", ".join(schema.keys) or "none"}; config and checkpoint belong to different data sets')
    return [{key: _reading(schema, key, int(row[a]), prob[a]) for a, key in enumerate(schema.keys)}
            for row, prob in zip(values, probs)]


def _reading(schema: AttributeSchema, key: str, value: int, probs: np.ndarray) -> AttributeReading:
    if value == IGNORE:
        return dict(value='unknown', value_index=IGNORE, prob=0.0)
    return dict(value=schema.decode(key, value), value_index=value, prob=float(probs[value]))


def all_probabilities(found: Detections, schema: AttributeSchema) -> list[dict[str, tuple[float, ...]]]:
    """Probabilities of all values by key of each detection; empty where the attributes are unknown."""
    if found.attributes is None or found.attribute_probs is None:
        return [{} for _ in range(len(found))]
    return [{} if IGNORE in values else {key: tuple(row[:count]) for key, count, row in zip(
        schema.keys, schema.cardinalities, rows)} for values, rows in zip(
            found.attributes.tolist(), found.attribute_probs.tolist())]


def class_probabilities(found: Detections) -> list[tuple[float, ...] | None]:
    """Probability of every class of each detection, to five decimals; None where only the highest is known."""
    if found.class_probs is None:
        return [None] * len(found)
    return [tuple(round(value, 5) for value in row) for row in found.class_probs.tolist()]
