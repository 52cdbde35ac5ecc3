"""Scores of the attributes of cells whose boxes are given: single-cell images, or the true boxes of a detector's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from numpy.typing import NDArray

from mmleuk.errors import UserError
from mmleuk.evaluation.attribute_f1 import count_values
from mmleuk.evaluation.attribute_scores import MEASURES, AttributeScores, attribute_scores, weighted_macro_f1
from mmleuk.evaluation.intervals import RESAMPLES, bootstrap_interval
from mmleuk.evaluation.reliability import attribute_reliability
from mmleuk.evaluation.samples import as_array, sample_name
from mmleuk.registry import METRICS
from mmleuk.schema import TYPE_ATTRIBUTE, AttributeSchema, resolve_schema
from mmleuk.utils.tables import lines, text_table


@dataclass(frozen=True)
class AttributeReadings:
    """True and predicted attributes of N cells of I images.

    Args:
        schema: A attributes.
        truth: (N, A) int64, IGNORE where unknown.
        probs: (N, A, V) probabilities of the values, zero beyond an attribute's own.
        image_of: (N,) index of each cell's image.
        type_attribute: the attribute that is the cell's type; it is in no mean over attributes.
    """

    schema: AttributeSchema
    truth: NDArray[np.int64]
    probs: NDArray[np.float32]
    image_of: NDArray[np.int64]
    type_attribute: str = TYPE_ATTRIBUTE

    @property
    def predicted(self) -> NDArray[np.int64]:
        """(N, A) most probable values."""
        return self.probs.argmax(2)

    @property
    def averaged(self) -> list[int]:
        """Indices of the attributes in means: all but the type."""
        return [index for index, key in enumerate(self.schema.keys) if key != self.type_attribute]

    def scores(self) -> AttributeScores:
        """Scores per attribute and value."""
        return attribute_scores(count_values(self.truth, self.predicted, self.schema.cardinalities))

    def summary(self, resamples: int = RESAMPLES) -> dict[str, float]:
        """What :class:`CropAttributeMetric` returns, without the attributes' own scores."""
        found, chosen = self.scores(), self.averaged
        summary = {f'macro_{measure}' if measure == 'f1' else measure: value
                   for measure, value in found.means(chosen).items()}
        truth, predicted = self.truth[:, chosen], self.predicted[:, chosen]
        cardinalities = [self.schema.cardinalities[index] for index in chosen]
        summary['macro_f1_low'], summary['macro_f1_high'] = bootstrap_interval(
            lambda weights: weighted_macro_f1(truth, predicted, cardinalities, weights), self.image_of,
            resamples=resamples)
        summary['ece'] = attribute_reliability(truth, self.probs[:, chosen]).ece
        position = self.schema.position(self.type_attribute)
        if position is not None:
            summary |= dict(type_accuracy=float(found.accuracy[position]), type_f1=float(found.f1[position]))
        return summary

    def rows(self) -> list[dict[str, Any]]:
        """One row per attribute: name, known cells and scores, for tables."""
        found = self.scores()
        return [dict(attribute=attribute.name, cells=int(found.support[index].sum()),
                     **{measure: _defined(getattr(found, measure)[index]) for measure in MEASURES})
                for index, attribute in enumerate(self.schema.attributes)]

    def value_rows(self) -> list[dict[str, Any]]:
        """One row per attribute and value."""
        found = self.scores()
        return [dict(attribute=attribute.name, value=value, cells=int(found.support[index, number]),
                     precision=_defined(found.value_precision[index, number]),
                     recall=_defined(found.value_recall[index, number]), f1=_defined(found.value_f1[index, number]))
                for index, attribute in enumerate(self.schema.attributes)
                for number, value in enumerate(attribute.values)]


@METRICS.register_module()
class CropAttributeMetric(BaseMetric):
    """Accuracy, precision, recall and F1 of attributes, their means with an interval, and their calibration.

    It scores ``gt_attributes``: what :class:`AttributeRecognizer` reads in single-cell images, and ``AttriDet(
    on_ground_truth=True)`` in true boxes.

    Results, prefix ``attributes``: ``accuracy``, ``precision``, ``recall`` and ``macro_f1``, means over all attributes
    but the type (WBCAtt+ Table 6); ``macro_f1_low`` and ``macro_f1_high``, a 95% bootstrap over images; ``ece``;
    ``type_accuracy`` and ``type_f1``, where the schema has the type; and each attribute's macro F1 under its short name
    (Table 7).

    Args:
        attributes: schema; by default the data set's.
        type_attribute: key of the attribute that is the cell's type.
        resamples: of the bootstrap.
        collect_device, prefix: see mmengine.
    """

    default_prefix = 'attributes'

    def __init__(self, *, attributes: str | Mapping[str, object] | None = None, type_attribute: str = TYPE_ATTRIBUTE,
                 resamples: int = RESAMPLES, collect_device: str = 'cpu', prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.attributes, self.type_attribute, self.resamples = attributes, type_attribute, resamples

    @property
    def schema(self) -> AttributeSchema:
        """The given schema, or the data set's."""
        spec = self.attributes or (self.dataset_meta or {}).get('attributes')
        if not spec:
            raise UserError('CropAttributeMetric: the data set has no attributes; take mmleuk.CellCropDataset with a '
                            'schema, or leave this metric out')
        return resolve_schema(spec)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep the true and predicted values of a batch.

        Raises:
            UserError: a sample has no predictions for its cells, or attributes of another schema.
        """
        for sample in data_samples:
            if 'gt_attributes' not in sample:
                raise UserError(f'{sample_name(sample)}: no attributes were predicted for its cells; take '
                                'mmleuk.AttributeRecognizer, or AttriDet(on_ground_truth=True)')
            truth, probs = (as_array(part) for part in (sample['gt_instances']['attributes'],
                                                        sample['gt_attributes']['attribute_probs']))
            if truth.shape != probs.shape[:2] or truth.shape[1] != len(self.schema):
                raise UserError(f'{sample_name(sample)}: {truth.shape[1]} attributes are annotated, {probs.shape[1]} '
                                f'predicted, and the schema has {len(self.schema)}; give data set, model and metric '
                                'the same schema')
            self.results.append((truth, probs))

    def readings(self, results: Sequence[tuple[NDArray, NDArray]]) -> AttributeReadings:
        """All samples together."""
        schema = self.schema
        widest = max(schema.cardinalities)
        truth = np.concatenate([np.zeros((0, len(schema)), np.int64), *(truth for truth, _ in results)])
        probs = np.concatenate([np.zeros((0, len(schema), widest), np.float32), *(probs for _, probs in results)])
        image_of = np.repeat(np.arange(len(results)), [len(truth) for truth, _ in results])
        return AttributeReadings(schema, truth, probs, image_of, self.type_attribute)

    def compute_metrics(self, results: list[tuple[NDArray, NDArray]]) -> dict[str, float]:
        """Scores over all samples; logs the attributes' as a table."""
        readings = self.readings(results)
        rows = readings.rows()
        table = text_table(lines(rows, ('attribute', 'cells', *MEASURES)))
        MMLogger.get_current_instance().info(f'\nAttributes of given cells\n{table}')
        f1 = readings.scores().f1
        return readings.summary(self.resamples) | {
            attribute.short: float(score) for attribute, score in zip(readings.schema.attributes, f1)}


def _defined(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
