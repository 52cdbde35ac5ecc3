"""Published methods for sparse labels, as settings of :class:`mmleuk.SparseLabelDetector`."""

from __future__ import annotations

from typing import Any

from mmleuk.models.detectors.sparse_label_detector import SparseLabelDetector
from mmleuk.registry import MODELS


@MODELS.register_module()
class SLADet(SparseLabelDetector):
    """SLA-Det: labelled regions, pseudo-labels by fixed thresholds, similarity.

    L_LR (Eq. 4) is the detector's, by ``bbox_head.truth='regions'``; L_PL (Eq. 7) has the gain ``pseudo_weight``; L_Tri
    (Eq. 11) is ``loss_triplet``.

    Args:
        detector: config of the detector; the paper's is YOLOv5x.
        labeller: default :class:`mmleuk.ThresholdLabeller` with the paper's thresholds.
        pseudo_weight: 0.1 in the paper; 0 switches L_PL off.
        others: as of :class:`mmleuk.SparseLabelDetector`.

    Source: LLD 4.3 and 5.2, Eq. 4 to 12.
    """

    def __init__(self, detector: dict, labeller: dict | None = None, *, pseudo_weight: float = 0.1,
                 **kwargs: Any) -> None:
        super().__init__(detector, labeller or dict(type='mmleuk.ThresholdLabeller'), pseudo_weight=pseudo_weight,
                         **kwargs)


@MODELS.register_module()
class CoMining(SparseLabelDetector):
    """Co-mining: in training each view of an image also learns the detections of the other view.

    The two views have the same geometry and differ in colour. One set of weights sees both; each view's detections
    above a score, without those of labelled cells, become labels of the other view; the loss is the sum of both views'.
    Regions are not used: every location without a label is background (``truth='everywhere'``), as in the original.

    Args:
        detector: config of the detector; the original's are RetinaNet and FCOS.
        labeller: default :class:`mmleuk.OtherViewLabeller`.
        others: as of :class:`mmleuk.SparseLabelDetector`.

    Source: Co-mining (AAAI 2021, arXiv 2012.01950), without warm-up or weights of the mined labels; docs/fidelity.md
    lists the differences.
    """

    def __init__(self, detector: dict, labeller: dict | None = None, *, two_views: bool = True, **kwargs: Any) -> None:
        super().__init__(detector, labeller or dict(type='mmleuk.OtherViewLabeller'), two_views=two_views, **kwargs)


@MODELS.register_module()
class CoStudent(SparseLabelDetector):
    """Co-Student's mechanism: Co-mining with the moving average of the weights as a teacher.

    The teacher sees the branch ``plain``, or the original view without one. Each view's own detections are merged with
    the teacher's before they become labels of the other view. A view of an image that ends up without any label
    adds no loss.

    Args:
        detector: config of the detector; the original's is FCOS.
        labeller: default :class:`mmleuk.TeacherMergeLabeller`.
        others: as of :class:`mmleuk.SparseLabelDetector`.

    Source: Co-Student (ECCV 2024), its released configuration; docs/fidelity.md lists the differences.
    """

    def __init__(self, detector: dict, labeller: dict | None = None, *, two_views: bool = True,
                 skip_unlabelled: bool = True, **kwargs: Any) -> None:
        super().__init__(detector, labeller or dict(type='mmleuk.TeacherMergeLabeller'), asks='both',
                         two_views=two_views, skip_unlabelled=skip_unlabelled, **kwargs)
