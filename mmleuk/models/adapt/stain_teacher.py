"""Ours: a teacher for the target's images, and stains that vary on both sides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmdet.structures import SampleList
from torch import Tensor

from mmleuk.datasets.source_target import TARGET, TARGET_STRONG
from mmleuk.models.adapt.base import SourceTargetDetector, keep_statistics, known_everywhere, no_cells
from mmleuk.registry import MODELS


@MODELS.register_module()
class StainTeacher(SourceTargetDetector):
    """The moving average of the weights labels the target's images; the student learns them in other stains.

    1. The teacher (:class:`mmleuk.EMATeacherHook`) sees the target's image as it is. Its confident detections are
       labels; under unsure ones nothing is learnt; elsewhere is background.
    2. The student sees the branch ``target_strong``: the same image with other amounts of its stains
       (:class:`mmleuk.StainJitter`), as the source's images have them.

    Args:
        detector: config of the detector.
        labeller: default :class:`mmleuk.ScoreLabeller` with scores from 0.4 on, unsure from 0.1 on.
        statistics: 'target': BatchNorm's running statistics, which the teacher and testing use, come from the target's
            images as they are (adaptive batch normalisation, Li et al. 2016). Until found labels are switched on, these
            images only update them. Together with found labels that is worse than 'both'
            (docs/benchmarks.md): the teacher then is another network than the one that learns.
        others: as of :class:`SourceTargetDetector`.

    It joins two known ideas: mean teacher (Tarvainen and Valpola 2017), and augmentation of stains in optical density
    (Tellez et al. 2018).
    """

    def __init__(self, detector: dict, labeller: dict | None = None, *, statistics: Any = 'both',
                 **kwargs: Any) -> None:
        super().__init__(detector, labeller or dict(type='mmleuk.ScoreLabeller', min_score=0.4, unsure_score=0.1),
                         asks='teacher', statistics=statistics, **kwargs)

    def target_losses(self, images: Mapping[str, Tensor], samples: Mapping[str, SampleList],
                      source_outputs: tuple) -> dict[str, Any]:
        """The detector's losses on the teacher's labels."""
        seen = images.get(TARGET_STRONG, images[TARGET])
        metas = [known_everywhere(sample.metainfo, seen) for sample in samples[TARGET]]
        judged = self.find((), images[TARGET], metas, [None] * len(metas))
        self.last_judged = judged
        labels = [self.merge(no_cells(seen, meta['annotated_regions']), found) for found, meta in zip(judged, metas)]
        ignored = [self.ignore(None, found) for found in judged]
        return self.label_losses(self.student_outputs(seen, images[TARGET]), labels, metas, ignored, None)

    def student_outputs(self, seen: Tensor, target: Tensor) -> tuple:
        """The adapter's outputs for what the student sees; only the target as it is updates the statistics."""
        if self.statistics == 'both' or seen is target:
            return self.adapter.forward(seen)
        self.watch_target(target)
        with keep_statistics(self.detector):
            return self.adapter.forward(seen)
