"""The metric over :mod:`mmleuk.evaluation.attribute_f1`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from numpy.typing import NDArray
from terminaltables import AsciiTable

from mmleuk.errors import UserError
from mmleuk.evaluation.attribute_f1 import (
    AttributeCounts,
    BinaryScore,
    attribute_f1,
    count_values,
    detection_pairs,
    macro_f1,
    nearest_pairs,
)
from mmleuk.evaluation.samples import (
    as_array,
    confident_detections,
    field_rows,
    in_regions,
    match_sample,
    refuse_moved_cells,
    sample_name,
)
from mmleuk.registry import METRICS
from mmleuk.schema import IGNORE, AttributeSchema, resolve_schema
from mmleuk.structures.matching import pairwise_iou
from mmleuk.structures.overlaps import suppress_overlaps

Mode = Literal['detection', 'gt_boxes', 'paper']
PREFIXES: Mapping[str, str] = dict(detection='attribute', gt_boxes='attribute_gt_boxes', paper='attribute_paper')
MIN_SCORES: Mapping[str, float] = dict(detection=0.3, gt_boxes=0.0, paper=0.0)


@METRICS.register_module()
class AttributeF1Metric(BaseMetric):
    """F1 per attribute and macro F1, in the schema's order; unknown values are left out.

    Modes, each with its own prefix, so that one evaluation can print several:

    - ``detection`` (prefix ``attribute``): how well cells with a value are found. Detections of at least ``min_score``
      are matched to cells at ``min_iou``, best score first. A missed cell counts its known values as not found, a
      false detection its predicted values as wrong, wherever the annotation is complete, empty images included.
      One detection per cell counts, the most confident one of all classes, and only if its class is one that the data
      set describes (``described`` in its metainfo): a red cell has no attributes, so none are predicted for it.
    - ``gt_boxes`` (``attribute_gt_boxes``): the attributes alone, predicted for the ground-truth boxes: the detector's
      errors play no part. Needs ``AttriDet(on_ground_truth=True)``.
    - ``paper`` (``attribute_paper``): as Tables 5 and 9 of LLD were computed; see :func:`nearest_pairs`.

    Results: one F1 per attribute under its short name; ``<short>_known``, the number of cells with a known value;
    ``macro_f1``, their mean; and ``macro_f1_attributes``, the number of attributes in this mean. The F1 of a value that
    occurs neither in truth nor in predictions is undefined (NaN) and left out of means, as with scikit-learn's
    ``zero_division=np.nan``.

    Args:
        mode: see above.
        attributes: schema; by default the data set's.
        min_iou: smallest IoU of a match in mode ``detection``.
        min_score: detections with a lower score don't count; by default 0.3 in mode ``detection``, 0 in mode ``paper``.
        max_overlap: where detections of any class overlap by a larger IoU, mode ``detection`` takes the most confident
            one; 1 takes all.
        class_aware: match only detections of the cell's class. By default any class matches: attributes describe
            morphology.
        binary: see :func:`attribute_f1`; WBCAtt uses ``macro``.
        collect_device, prefix: see mmengine.

    Boxes and regions of ground truth are in pixels of the original image, as MMDetection's test pipelines give them
    (annotations are loaded after resizing).
    """

    def __init__(self, *, mode: Mode = 'detection', attributes: str | Mapping[str, object] | None = None,
                 min_iou: float = 0.5, min_score: float | None = None, max_overlap: float = 0.5,
                 class_aware: bool = False, binary: BinaryScore = 'positive', collect_device: str = 'cpu',
                 prefix: str | None = None) -> None:
        if mode not in PREFIXES or binary not in ('positive', 'macro'):
            raise UserError(f'AttributeF1Metric: mode must be one of {", ".join(PREFIXES)}, and binary positive or '
                            f'macro; got {mode!r} and {binary!r}')
        super().__init__(collect_device=collect_device, prefix=prefix or PREFIXES[mode])
        self.mode, self.attributes, self.min_iou, self.class_aware = mode, attributes, min_iou, class_aware
        self.min_score = MIN_SCORES[mode] if min_score is None else min_score
        self.max_overlap = max_overlap
        self.binary: BinaryScore = binary

    @property
    def schema(self) -> AttributeSchema:
        """The given schema, or the data set's."""
        spec = self.attributes or (self.dataset_meta or {}).get('attributes')
        if not spec:
            raise UserError('AttributeF1Metric: the data set has no attributes; take mmleuk.CellDataset with '
                            'a schema, or leave this metric out')
        return resolve_schema(spec)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Count one batch; a sample needs ``pred_instances`` and ``gt_instances`` with attributes."""
        cardinalities = self.schema.cardinalities
        pairs = dict(detection=self._detection_pairs, gt_boxes=self._gt_box_pairs, paper=self._paper_pairs)[self.mode]
        for sample in data_samples:
            self.results.append(count_values(*pairs(sample), cardinalities))

    def _detection_pairs(self, sample: dict) -> tuple[NDArray, NDArray]:
        self._field(sample, 'gt_instances')
        found = self._described(self._detections(sample))
        matches, ignored = match_sample(found, sample, self.min_iou, self.class_aware)
        truth = np.concatenate([self._truth(sample), np.full((ignored.sum(), len(self.schema)), IGNORE)])
        return detection_pairs(matches, in_regions(found['bboxes'], sample), truth, ignored, found['attributes'])

    def _gt_box_pairs(self, sample: dict) -> tuple[NDArray, NDArray]:
        if 'gt_attributes' not in sample:
            raise UserError(f'{sample_name(sample)}: no attributes were predicted for ground-truth boxes; mode '
                            'gt_boxes needs AttriDet(on_ground_truth=True)')
        return self._truth(sample), as_array(sample['gt_attributes']['attributes'])

    def _paper_pairs(self, sample: dict) -> tuple[NDArray, NDArray]:
        found = self._detections(sample)
        described = (found['attributes'] != IGNORE).all(1)
        iou = pairwise_iou(found['bboxes'][described], field_rows(sample['gt_instances'], 'bboxes', 4))
        return nearest_pairs(iou, self._truth(sample), found['attributes'][described])

    def _detections(self, sample: dict) -> dict[str, NDArray]:
        """Detections of at least ``min_score``, best first."""
        return confident_detections(self._field(sample, 'pred_instances'),
                                    ('bboxes', 'scores', 'labels', 'attributes'), self.min_score)

    def _described(self, found: dict[str, NDArray]) -> dict[str, NDArray]:
        """One detection per cell, of the classes whose cells have attributes."""
        kept = suppress_overlaps(found['bboxes'], found['scores'], self.max_overlap)
        meta = self.dataset_meta or {}
        if 'described' in meta:
            kept = kept[np.isin(found['labels'][kept], [meta['classes'].index(name) for name in meta['described']])]
        return {key: rows[kept] for key, rows in found.items()}

    def _truth(self, sample: dict) -> NDArray:
        """(G, A) int64."""
        refuse_moved_cells(sample)
        truth = as_array(self._field(sample, 'gt_instances')['attributes'])
        if truth.shape[1:] != (len(self.schema),):
            raise UserError(f'{sample_name(sample)}: its cells have {truth.shape[-1]} attributes, the schema has '
                            f'{len(self.schema)}; give data set and metric the same schema')
        return truth

    @staticmethod
    def _field(sample: dict, field: str) -> dict:
        if 'attributes' not in sample.get(field, {}):
            cause = ('end the test pipeline with mmleuk.LoadCellAnnotations and mmleuk.PackCells'
                     if field == 'gt_instances' else 'take a model that predicts them, such as mmleuk.AttriDet')
            raise UserError(f'{sample_name(sample)}: {field} carries no attributes; {cause}')
        return sample[field]

    @property
    def score_names(self) -> list[str]:
        """Names of the scores of :meth:`compute_metrics`, without the prefix."""
        shorts = [attribute.short for attribute in self.schema.attributes]
        return [*shorts, *(f'{short}_known' for short in shorts), 'macro_f1']

    def compute_metrics(self, results: list[AttributeCounts]) -> dict[str, float]:
        """Scores over the counts of all images; logs them as a table."""
        schema = self.schema
        counts = sum(results[1:], results[0])
        scores = attribute_f1(counts, schema.cardinalities, self.binary)
        known = counts.support.sum(1)
        shorts = [attribute.short for attribute in schema.attributes]
        table = AsciiTable([
            ['', *shorts, 'macro'],
            ['F1 %', *(f'{100 * score:.1f}' for score in scores), f'{100 * macro_f1(scores):.1f}'],
            ['cells known', *known.tolist(), ''],
            ['per value', *('/'.join(map(str, row[:values])) for row, values in
                            zip(counts.support.tolist(), schema.cardinalities)), '']])
        MMLogger.get_current_instance().info(f'\nAttributes, mode {self.mode}\n{table.table}')
        metrics = {short: float(score) for short, score in zip(shorts, scores)}
        metrics |= {f'{short}_known': int(number) for short, number in zip(shorts, known)}
        return metrics | dict(macro_f1=macro_f1(scores), macro_f1_attributes=int(np.isfinite(scores).sum()))
