"""Sampling for anchor, RPN and RoI heads where only parts of an image are annotated.

Legend: P priors (anchors, proposals, points), R regions.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from mmdet.models.task_modules import AssignResult, SamplingResult
from mmdet.structures.bbox import get_box_tensor
from mmengine.structures import InstanceData
from torch import Tensor

from mmleuk.errors import UserError
from mmleuk.registry import TASK_UTILS
from mmleuk.structures.regions import background_is_known

BACKGROUND, IGNORED = 0, -1
"""Values of mmdet's ``AssignResult.gt_inds``; positive ones count ground truth from 1."""


def prior_centres(priors: Tensor) -> Tensor:
    """Centres (P, 2) of priors: boxes (P, 4) xyxy, or points (P, 2) or (P, 3), x and y first.

    Raises:
        UserError: the four columns are not xyxy boxes: some heads pass x, y and two strides.

    Example:
        >>> import torch
        >>> prior_centres(torch.tensor([[0., 0., 4., 2.]])).tolist()
        [[2.0, 1.0]]
    """
    if priors.shape[-1] < 4:
        return priors[:, :2]
    if (priors[:, 2:] < priors[:, :2]).any():
        raise UserError('SparseRegionSampler: the priors are not xyxy boxes (x2 < x1 or y2 < y1); it works with heads '
                        'whose priors are anchors or proposals, and with points of two or three columns')
    return (priors[:, :2] + priors[:, 2:]) / 2


def ignore_unknown_background(gt_inds: Tensor, centres_xy: Tensor, metainfo: Mapping) -> Tensor:
    """Ignore background outside the known regions; priors of labelled cells stay.

    Args:
        gt_inds: (P,) int, -1 ignored, 0 background, i > 0 the i-th cell; stays unchanged.
        centres_xy: (P, 2) pixels.
        metainfo: see :func:`background_is_known`.

    Returns:
        (P,) a copy with -1 where background isn't known.

    Example:
        >>> import torch
        >>> known = dict(annotated_regions=torch.tensor([[0., 0., 2., 2.]]))
        >>> ignore_unknown_background(torch.tensor([0, 0, 1]), torch.tensor([[1., 1.], [5., 5.], [5., 5.]]), known)
        tensor([ 0, -1,  1])
    """
    unknown = (gt_inds == BACKGROUND) & ~background_is_known(centres_xy, metainfo)
    return gt_inds.masked_fill(unknown, IGNORED)


@TASK_UTILS.register_module()
class SparseRegionSampler:
    """Any of MMDetection's samplers; it never samples background outside the annotated regions.

    Background with its centre outside all regions is ignored BEFORE sampling, so it is neither sampled nor counted in
    an average. (With zero weights after sampling it would be both.) Priors assigned to a labelled cell always count,
    and ground truth that is added as proposals stays.

    In a config it replaces the sampler, and its other arguments go to a RandomSampler; or it wraps any sampler:

        sampler=dict(type='mmleuk.SparseRegionSampler', num=256, pos_fraction=0.5, add_gt_as_proposals=False)
        sampler=dict(type='mmleuk.SparseRegionSampler', sampler=dict(type='PseudoSampler'))

    Args:
        sampler: config of the sampler that draws from the known priors; None makes a RandomSampler.
        num: priors per image.
        pos_fraction: largest share of positives.
        neg_pos_ub: largest number of negatives per positive; -1 for no limit.
        add_gt_as_proposals: add labelled cells to the proposals.
        context: the head; mmdet passes it, and some samplers (OHEMSampler) use it.

    Heads pass ``gt_instances``, whose metainfo has ``annotated_regions`` (:class:`mmleuk.PackCells`). Heads that
    don't sample (FCOS, DETR, Sparse R-CNN) need another way.

    Source: LLD 4.3, Eq. 4, for heads that sample.
    """

    def __init__(self, sampler: dict | None = None, *, num: int | None = None, pos_fraction: float | None = None,
                 neg_pos_ub: int = -1, add_gt_as_proposals: bool = True, context: Any = None) -> None:
        if (sampler is None) == (num is None or pos_fraction is None):
            raise UserError('SparseRegionSampler needs either sampler=dict(type=...), or num and pos_fraction of a '
                            'RandomSampler')
        if sampler is None:
            sampler = dict(type='mmdet.RandomSampler', num=num, pos_fraction=pos_fraction, neg_pos_ub=neg_pos_ub,
                           add_gt_as_proposals=add_gt_as_proposals)
        self.sampler = TASK_UTILS.build(sampler, default_args=dict(context=context))

    def sample(self, assign_result: AssignResult, pred_instances: InstanceData, gt_instances: InstanceData,
               **kwargs: Any) -> SamplingResult:
        """Sample known priors with the inner sampler.

        Args:
            assign_result: stays unchanged.
            pred_instances: ``priors``, (P, 4) xyxy boxes or (P, 2 or 3) points in input pixels.
            gt_instances: ``bboxes`` (N, 4) and ``labels`` (N,), with ``annotated_regions`` (R, 4) in the metainfo.
            kwargs: for the inner sampler.

        Raises:
            UserError: ``gt_instances`` has no regions; the whole image is never assumed.
        """
        centres = prior_centres(get_box_tensor(pred_instances.priors))
        known = copy.copy(assign_result)
        known.gt_inds = ignore_unknown_background(assign_result.gt_inds, centres, gt_instances.metainfo)
        result = self.sampler.sample(known, pred_instances, gt_instances, **kwargs)
        if not len(result.pos_inds) and not len(result.neg_inds):
            result.avg_factor = 0  # mmdet counts at least one positive and one negative per image
        return result
