"""Co-Student: Co-mining whose labels a teacher looks over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.utils import InstanceList
from torch import Tensor, nn

from mmleuk.models.data_preprocessors.two_views import VIEWS
from mmleuk.models.detectors.co_mining import CoMining, confident_detections
from mmleuk.models.detectors.teacher import Teacher
from mmleuk.models.task_modules.mined_labels import merge_with_teacher
from mmleuk.registry import MODELS


@MODELS.register_module()
class CoStudent(CoMining):
    """:class:`CoMining` with the moving average of its own weights as a teacher.

    The teacher sees the original view. Before the views swap, each view's own detections are merged with the teacher's
    (:func:`merge_with_teacher`). A view of an image that ends up without any label adds no loss: with sparse labels, no
    label doesn't mean no cell.

    The teacher comes from :class:`mmleuk.EMATeacherHook`, which hands over the average that is evaluated anyway, here
    of ``YOLOv5EMAHook``; it isn't in the state dict, gets no gradient and stays in evaluation mode.

    Adapted: the original turns, shears and shifts its strong view and sends the labels through the transform's matrix;
    here both views share the pipeline's geometry (a random affine transform, flips), and the strong one differs in
    colour and erased patches. So does the teacher's view, where the original's teacher sees the resized image alone.

    Args:
        detector: as of :class:`CoMining`.
        min_score: a view's own detections need more than this; 0.5.
        teacher_score: the teacher's need more than this; 0.6.
        teacher_iou: from where on an own detection and a teacher's are the same; 0.5.
        others: as of :class:`CoMining`.

    Source: Co-Student (ECCV 2024), its released configuration (FCOS, half of the labels missing).
    """

    def __init__(self, detector: dict, *, min_score: float = 0.5, teacher_score: float = 0.6, teacher_iou: float = 0.5,
                 **kwargs: Any) -> None:
        super().__init__(detector, min_score=min_score, **kwargs)
        self.teacher_score = teacher_score
        self.teacher_iou = teacher_iou
        self.teacher = Teacher()

    def set_teacher(self, average: nn.Module) -> None:
        """Learn from this copy of the model; :class:`mmleuk.EMATeacherHook` calls it."""
        self.teacher = Teacher(average)

    def mine(self, outputs: tuple, batch_inputs: dict[str, Tensor], metas: list[dict]) -> InstanceList:
        """What each of the 2B views shows, and the teacher sees: ``bboxes``, ``scores`` and ``labels``."""
        own = super().mine(outputs, batch_inputs, metas)
        taught = self.teach(batch_inputs[VIEWS[0]], metas[:len(metas) // 2])
        return [merge_with_teacher(mine, teacher, self.teacher_iou) for mine, teacher in zip(own, taught * 2)]

    @torch.no_grad()
    def teach(self, batch_inputs: Tensor, metas: list[dict]) -> InstanceList:
        """The teacher's detections on images (B, 3, H, W).

        Raises:
            UserError: there is no teacher.
        """
        detector: Any = self.teacher.module.detector
        outputs = detector.bbox_head(detector.extract_feat(batch_inputs))
        return confident_detections(detector.bbox_head, outputs, metas, self.teacher_score, self.nms_iou)

    def view_loss(self, outputs: tuple, rows: Sequence[int], labels: InstanceList, metas: list[dict],
                  ignored: list) -> dict[str, Any]:
        """The detector's losses on those rows that have labels; 0, with a gradient path, when none has.

        They are computed even then: heads such as FCOS's average over processes in their loss, and would wait for one
        that has nothing to learn.
        """
        labelled = [row for row in rows if len(labels[row])]
        losses = super().view_loss(outputs, labelled or rows[:1], labels, metas, ignored)
        return losses if labelled else {name: nothing_of(value) for name, value in losses.items()}


def nothing_of(value: Tensor | Sequence[Tensor]) -> Tensor | list[Tensor]:
    """0 with the gradient path of a loss, or of each of several."""
    return value * 0 if isinstance(value, Tensor) else [part * 0 for part in value]
