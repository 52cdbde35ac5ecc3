"""Does a concept bottleneck's disagreement find the detector's false detections?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from numpy.typing import NDArray

from mmleuk.errors import UserError
from mmleuk.evaluation.samples import confident_detections, in_regions, match_sample, sample_name
from mmleuk.registry import METRICS
from mmleuk.structures.matching import UNMATCHED

FIELDS = ('bboxes', 'labels', 'scores', 'disagrees')


def flag_counts(matches: NDArray, counted: NDArray, flagged: NDArray) -> NDArray[np.int64]:
    """Count right and false detections, flagged or not.

    Args:
        matches: (P,) from :func:`mmleuk.structures.matching.match`.
        counted: (P,) bool; a false detection counts where the annotation is complete.
        flagged: (P,) bool.

    Returns:
        (2, 2) int64: the rows are right and false, the columns all and flagged.

    Example:
        >>> flag_counts(np.array([0, 1, -1, -1]), np.array([True, True, True, False]), np.array([False, True] * 2))
        array([[2, 1],
               [1, 0]])
    """
    kinds = (matches >= 0, (matches == UNMATCHED) & counted)
    return np.array([[kind.sum(), (kind & flagged).sum()] for kind in kinds], dtype=np.int64)


@METRICS.register_module()
class DisagreementMetric(BaseMetric):
    """Scores ``disagrees`` of :class:`mmleuk.PostHocCBM` as a monitor of false detections.

    A detection is right if it matches a cell of its class. Results: ``false_flagged`` and ``right_flagged``, the
    shares of false and of right detections that are flagged (in a useful monitor the first is much larger);
    ``flagged_false``, the share of flagged detections that are false; and the counts ``false``, ``right`` and
    ``flagged``. A share of nothing is 0.

    Args:
        min_iou: smallest IoU of a match.
        min_score: detections with a lower score don't count; at least the model's ``min_score``.
        collect_device, prefix: see mmengine.

    Source: Keser et al. (CVPRW 2023) use the disagreement in this way.
    """

    def __init__(self, *, min_iou: float = 0.5, min_score: float = 0.3, collect_device: str = 'cpu',
                 prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix or 'monitor')
        self.min_iou, self.min_score = min_iou, min_score

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Count one batch; a sample needs ``gt_instances``, and ``pred_instances`` with ``disagrees``."""
        for sample in data_samples:
            if 'disagrees' not in sample['pred_instances']:
                raise UserError(f'{sample_name(sample)}: its detections have no disagreement; use '
                                'mmleuk.PostHocCBM, or leave DisagreementMetric out')
            self.results.append(self._counts(sample))

    def _counts(self, sample: dict) -> NDArray[np.int64]:
        found = confident_detections(sample['pred_instances'], FIELDS, self.min_score)
        matches, _ = match_sample(found, sample, self.min_iou, class_aware=True)
        return flag_counts(matches, in_regions(found['bboxes'], sample), found['disagrees'])

    def compute_metrics(self, results: list[NDArray[np.int64]]) -> dict[str, float]:
        """Shares over the counts of all images."""
        (right, right_flagged), (false, false_flagged) = np.sum(results, axis=0).tolist()
        flagged = right_flagged + false_flagged
        return dict(false_flagged=false_flagged / max(false, 1), right_flagged=right_flagged / max(right, 1),
                    flagged_false=false_flagged / max(flagged, 1), false=false, right=right, flagged=flagged)
