"""Sparse R-CNN's sampler for sparse annotations: every query stays, and the result marks unknown ones."""

from __future__ import annotations

from typing import Any

from mmdet.models.task_modules import AssignResult, PseudoSampler, SamplingResult
from mmengine.structures import InstanceData

from mmleuk.models.task_modules.sparse_region_sampler import ignore_unknown_background
from mmleuk.registry import TASK_UTILS


@TASK_UTILS.register_module()
class SparseRegionPseudoSampler(PseudoSampler):
    """Takes all queries, since Sparse R-CNN's head indexes them; :class:`mmleuk.SparseRegionDIIHead` does the rest."""

    def sample(self, assign_result: AssignResult, pred_instances: InstanceData, gt_instances: InstanceData,
               *args: Any, **kwargs: Any) -> SamplingResult:
        """All P queries, with ``unknown`` (P,) bool: background whose centre lies outside every region.

        Args:
            assign_result: stays unchanged.
            pred_instances: ``priors``, (P, 4) xyxy pixels.
            gt_instances: ``bboxes``, ``labels``, with ``annotated_regions`` in the metainfo.

        Raises:
            UserError: ``gt_instances`` has no regions.
        """
        result = super().sample(assign_result, pred_instances, gt_instances, *args, **kwargs)
        boxes = pred_instances.priors
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        left = ignore_unknown_background(assign_result.gt_inds, centres, gt_instances.metainfo)
        result.unknown = left != assign_result.gt_inds
        return result
