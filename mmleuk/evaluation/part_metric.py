"""The metric over :mod:`mmleuk.evaluation.part_scores`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from numpy.typing import NDArray
from terminaltables import AsciiTable

from mmleuk.errors import UserError
from mmleuk.evaluation.part_scores import PartScores, count_pixels, part_scores
from mmleuk.evaluation.samples import as_array, sample_name
from mmleuk.registry import METRICS
from mmleuk.structures.cell_parts import PARTS


@METRICS.register_module()
class PartMetric(BaseMetric):
    """IoU and F1 of each part of the cells, and their means; prefix ``parts``.

    Results: ``IoU_<part>``, ``F1_<part>``, ``mIoU`` and ``mF1``. The means leave ``other`` out, as WBCAtt+'s Table 4
    does, and parts that occur neither in truth nor in predictions.

    Args:
        groups: a regular expression whose first bracket names the group of an image from its file name, such as
            ``(d[12])_`` for the two stains of ``wbc_seg``. Each group's results are ``<group>/mIoU`` and so on.
        collect_device, prefix: see mmengine.

    Raises:
        UserError: ``groups`` is no regular expression with a bracket.
    """

    default_prefix = 'parts'

    def __init__(self, *, groups: str | None = None, collect_device: str = 'cpu', prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        try:
            self.groups = re.compile(groups) if groups else None
        except re.error as error:
            raise UserError(f'PartMetric: groups={groups!r} is no regular expression ({error})') from error
        if self.groups is not None and not self.groups.groups:
            raise UserError(f'PartMetric: groups={groups!r} has no bracket; the first one names the group')

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the data set's parts by value."""
        return tuple((self.dataset_meta or {}).get('classes', PARTS))

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Count one batch; a sample needs ``gt_sem_seg`` and ``pred_sem_seg``."""
        for sample in data_samples:
            if 'gt_sem_seg' not in sample or 'pred_sem_seg' not in sample:
                raise UserError(f'{sample_name(sample)}: has no true or no predicted mask; load masks with '
                                'mmleuk.LoadPartMask, and test a model of segmentation')
            truth, predicted = (as_array(sample[key]['data'])[0] for key in ('gt_sem_seg', 'pred_sem_seg'))
            self.results.append((self._group(sample), count_pixels(truth, predicted, len(self.parts))))

    def _group(self, sample: Mapping) -> str:
        found = self.groups.search(str(sample.get('img_path', '')).rpartition('/')[2]) if self.groups else None
        return found.group(1) or '' if found else ''

    def compute_metrics(self, results: list[tuple[str, NDArray]]) -> dict[str, float]:
        """Scores of all images, then of each group; a table of them goes to the log."""
        names = sorted({group for group, _ in results} - {''})
        values: dict[str, float] = {}
        for name in ('', *names):
            chosen = [counts for group, counts in results if not name or group == name]
            scores = part_scores(np.sum(chosen, axis=0))
            values |= {f'{name}/{key}' if name else key: value for key, value in self._values(scores).items()}
            MMLogger.get_current_instance().info(
                f'{name or "all"}: {len(chosen)} images\n{_table(self.parts, scores)}')
        return values

    def _values(self, scores: PartScores) -> dict[str, float]:
        counted = [index for index, part in enumerate(self.parts) if part != 'other']
        means = dict(mIoU=_mean(scores.iou[counted]), mF1=_mean(scores.f1[counted]))
        each = {f'{name}_{part}': float(value) for name, column in (('IoU', scores.iou), ('F1', scores.f1))
                for part, value in zip(self.parts, column)}
        return means | each


def _mean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float('nan')


def _table(parts: Sequence[str], scores: PartScores) -> str:
    rows = [[part, *(f'{100 * column[index]:.2f}' for column in (scores.iou, scores.f1, scores.precision,
                                                                 scores.recall)), f'{scores.pixels[index]:,}']
            for index, part in enumerate(parts)]
    return AsciiTable([['part', 'IoU', 'F1', 'precision', 'recall', 'true pixels'], *rows]).table
