"""Baseline: always predict the most frequent value of each attribute."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmleuk.datasets.annotations import read_annotations
from mmleuk.errors import UserError
from mmleuk.evaluation.attribute_metric import AttributeF1Metric
from mmleuk.registry import METRICS
from mmleuk.schema import IGNORE


def majority_values(attributes: NDArray[np.integer], cardinalities: Sequence[int]) -> NDArray[np.int64]:
    """The most frequent known value of each attribute; of equally frequent ones the smallest.

    Args:
        attributes: (N, A) values of N cells, IGNORE where unknown.
        cardinalities: number of values of each attribute.

    Returns:
        (A,) int64, IGNORE where no cell's value is known.

    Example:
        >>> majority_values(np.array([[1, -1], [0, -1], [1, -1]]), (2, 3)).tolist()
        [1, -1]
    """
    counts = [np.bincount(column[column != IGNORE], minlength=values)
              for column, values in zip(attributes.T, cardinalities)]
    return np.array([count.argmax() if count.any() else IGNORE for count in counts], dtype=np.int64)


@METRICS.register_module()
class MajorityF1Metric(AttributeF1Metric):
    """:class:`AttributeF1Metric` where every box gets the most frequent values of the training data.

    The baseline that an attribute head must beat. It works with any detector, also one without attributes. In mode
    ``detection`` boxes and scores come from the detector.

    Args:
        train_ann_file: annotation file to count the values in.
        kwargs: see :class:`AttributeF1Metric`; results have the same names.
    """

    def __init__(self, *, train_ann_file: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.train_ann_file = train_ann_file

    @cached_property
    def values(self) -> NDArray[np.int64]:
        """(A,) most frequent values of the training data.

        Raises:
            UserError: the file is broken, or the data set doesn't name its classes.
        """
        classes = (self.dataset_meta or {}).get('classes')
        if not classes:
            raise UserError("MajorityF1Metric: the data set's metainfo names no classes; take "
                            'mmleuk.CellDataset')
        images = read_annotations(self.train_ann_file, classes, self.schema).images
        cells = [cell.attributes for image in images for cell in image.cells if not cell.ignore]
        return majority_values(np.array(cells, dtype=np.int64).reshape(-1, len(self.schema)), self.schema.cardinalities)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Count a batch of samples; copies get the most frequent values instead of the predicted ones."""
        super().process(data_batch, [self._with_majority(sample) for sample in data_samples])

    def _with_majority(self, sample: dict) -> dict:
        found = dict(attributes=np.tile(self.values, (len(sample['pred_instances']['scores']), 1)))
        true = dict(attributes=np.tile(self.values, (len(sample['gt_instances']['labels']), 1)))
        return {**sample, 'pred_instances': {**sample['pred_instances'], **found}, 'gt_attributes': true}
