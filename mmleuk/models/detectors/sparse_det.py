"""SparseDet: Faster R-CNN on two views; proposals that may be unlabelled cells are not background.

Legend: B images, P proposals, N labelled cells, M mined proposals, C channels of a pyramid map.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from mmdet.models.detectors import FasterRCNN
from mmdet.models.utils import rename_loss_dict, unpack_gt_instances
from mmdet.structures import SampleList
from mmdet.structures.bbox import bbox2roi
from mmdet.utils import InstanceList
from mmengine.config import ConfigDict
from mmengine.logging import MessageHub
from mmengine.structures import InstanceData
from torch import Tensor
from torch.nn.functional import mse_loss

from mmleuk.errors import UserError
from mmleuk.models.detectors.adapters import in_float32, take_rows
from mmleuk.models.labellers.base import KEPT, centres_in, suppress, with_area
from mmleuk.models.losses.no_loss import no_loss
from mmleuk.registry import MODELS, TASK_UTILS

Maps = Sequence[Tensor]


@MODELS.register_module()
class SparseDet(FasterRCNN):
    """Faster R-CNN on a weak and a strong view of every image, which share its weights.

    - A common RPN sees both views' pyramid maps, concatenated along channels.
    - After the share ``mining_from`` of the training, proposals with a high objectness far from every labelled cell
      are set aside: they are not background. A mean squared error makes both views' box features of them similar.
    - The weak view learns from the labelled cells. The strong view also learns the weak view's
      confident detections.
    - Testing needs both views as well.

    Args:
        mining_from: share of the training, 0 to 1, after which proposals are mined.
        miner: config of the labeller that mines proposals; default :class:`mmleuk.ObjectnessLabeller`.
        mined_nms_iou: IoU of the suppression among mined proposals.
        labeller: config of the labeller that chooses the strong view's labels from the weak view's detections; default
            :class:`mmleuk.OtherViewLabeller` with scores above 0.9.
        consistency_weight: weight of the mean squared error.
        kwargs: as of mmdet's FasterRCNN. ``rpn_head.in_channels`` is twice the neck's width and ``data_preprocessor`` a
            :class:`mmleuk.WeakStrongDataPreprocessor`; the box head has fully connected layers
            (``Shared2FCBBoxHead``). As in the original, annotated regions are not used unless the
            samplers use them (:class:`mmleuk.SparseRegionSampler`).

    Raises:
        UserError: the RPN's input isn't twice as wide as the neck's maps.

    Source: SparseDet (ICCV 2023, arXiv 2201.04620) and its release (there ResNet-101, mining from iteration 9,000 of
    18,000 on VOC); ``configs/sparse_det/README.md`` lists the adaptations.
    """

    def __init__(self, *, mining_from: float = 0.5, miner: dict | None = None, mined_nms_iou: float = 0.3,
                 labeller: dict | None = None, consistency_weight: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.rpn_head.in_channels != 2 * self.neck.out_channels:
            raise UserError(f'SparseDet: its RPN sees two views; set rpn_head.in_channels={2 * self.neck.out_channels}')
        self.mining_from = mining_from
        self.miner: Any = TASK_UTILS.build(miner or dict(type='mmleuk.ObjectnessLabeller'))
        self.mined_nms_iou = mined_nms_iou
        self.labeller: Any = TASK_UTILS.build(
            labeller or dict(type='mmleuk.OtherViewLabeller', min_score=0.9, labelled_iou=0.5))
        self.consistency_weight = consistency_weight

    # ------------------------------------------------------------------ losses

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Losses of the common RPN, of the two views (0.5 each), and of their consistency.

        Args:
            batch_inputs: (2B, 3, H, W), weak views first.
            batch_data_samples: B samples; ``gt_instances`` with bboxes (N, 4) in input pixels and labels (N,).
        """
        weak, strong, common = self.views(batch_inputs, len(batch_data_samples))
        cells = unpack_gt_instances(batch_data_samples)[0]
        losses, proposals = self.rpn_losses(common, batch_data_samples)
        remaining, mined = self.set_aside(proposals, cells)
        strong_samples = self.stronger_labels(weak, remaining, batch_data_samples)
        losses |= self.view_losses('weak', weak, remaining, batch_data_samples)
        losses |= self.view_losses('strong', strong, remaining, strong_samples)
        losses['loss_consistency'] = self.consistency_weight * self.consistency(weak, strong, mined)
        return losses

    def views(self, batch_inputs: Tensor, num_samples: int) -> tuple[Maps, Maps, Maps]:
        """Pyramid maps (B, C, H, W) of the weak and of the strong views, and both concatenated (B, 2C, H, W).

        Raises:
            UserError: there aren't two images per sample.
        """
        if len(batch_inputs) != 2 * num_samples:
            raise UserError(f'SparseDet needs two views of every image, got {len(batch_inputs)} for {num_samples} '
                            "samples; set data_preprocessor.type='mmleuk.WeakStrongDataPreprocessor'")
        features = self.extract_feat(batch_inputs)
        weak = [level[:num_samples] for level in features]
        strong = [level[num_samples:] for level in features]
        return weak, strong, [torch.cat(pair, 1) for pair in zip(weak, strong)]

    def rpn_losses(self, common: Maps, samples: SampleList) -> tuple[dict[str, Tensor], InstanceList]:
        """The RPN's losses on images with a labelled cell, and proposals for all: ``bboxes``, ``scores``."""
        _, ignored, metas = unpack_gt_instances(samples)
        foreground = [_of_class_zero(sample.gt_instances) for sample in samples]
        outputs = self.rpn_head(common)
        cfg = self.train_cfg.get('rpn_proposal', self.test_cfg.rpn)
        proposals = self.rpn_head.predict_by_feat(*outputs, batch_img_metas=metas, cfg=cfg)
        rows = [row for row, sample in enumerate(samples) if len(sample.gt_instances)]
        if not rows:
            nothing = sum(level[:0].sum() for maps in outputs for level in maps)
            return dict(loss_rpn_cls=nothing, loss_rpn_bbox=nothing), proposals
        losses = self.rpn_head.loss_by_feat(*take_rows(outputs, rows), [foreground[row] for row in rows],
                                            [metas[row] for row in rows], [ignored[row] for row in rows])
        return losses, proposals

    def set_aside(self, proposals: InstanceList, cells: InstanceList) -> tuple[InstanceList, list[Tensor]]:
        """Per image: proposals without the mined ones, and the mined boxes (M, 4) after suppression."""
        if not self.is_mining():
            return proposals, [found.bboxes[:0] for found in proposals]
        remaining, mined = [], []
        for found, labelled in zip(proposals, cells):
            aside = self.miner.select(found, labelled, found.bboxes[:0]).ignored
            remaining.append(found[~aside])
            mined.append(suppress(found[aside], self.mined_nms_iou).bboxes)
        return remaining, mined

    def is_mining(self) -> bool:
        """Whether the running training has passed ``mining_from``; mmengine's message hub knows its iteration."""
        hub = MessageHub.get_current_instance()
        return hub.get_info('iter', 0) >= self.mining_from * hub.get_info('max_iters', 1)

    @torch.no_grad()
    def stronger_labels(self, weak: Maps, proposals: InstanceList, samples: SampleList) -> SampleList:
        """Samples whose ground truth holds the labelled cells and the weak view's confident detections.

        Detections under ignored boxes are left out.
        """
        request = self.labeller.request('student')
        cfg = ConfigDict(score_thr=request.min_score, max_per_img=self.test_cfg.rcnn.max_per_img,
                         nms=dict(type='nms', iou_threshold=request.nms_iou))
        boxes = [InstanceData(bboxes=found.bboxes.float()) for found in proposals]
        with torch.autocast(samples[0].gt_instances.bboxes.device.type, enabled=False):  # else boxes are rounded
            found = self.roi_head.predict_bbox(in_float32(weak), [sample.metainfo for sample in samples], boxes, cfg)
        strong_samples = [sample.new() for sample in samples]
        for sample, detections in zip(strong_samples, found):
            cells = sample.gt_instances
            seen = with_area(detections)
            if 'ignored_instances' in sample:
                seen = seen[~centres_in(seen.bboxes, sample.ignored_instances.bboxes)]
            kept = self.labeller.group(self.labeller.select(seen, cells, cells.bboxes[:0]), KEPT)
            sample.gt_instances = InstanceData(metainfo=cells.metainfo, bboxes=torch.cat([cells.bboxes, kept.bboxes]),
                                               labels=torch.cat([cells.labels, kept.labels]))
        return strong_samples

    def view_losses(self, view: str, features: Maps, proposals: InstanceList, samples: SampleList) -> dict[str, Tensor]:
        """Half of the box head's losses on one view's images that have a label."""
        rows = [row for row, sample in enumerate(samples) if len(sample.gt_instances)]
        if not rows:
            return {f'{view}.loss_cls': no_loss(self.roi_head), f'{view}.loss_bbox': features[0][:0].sum()}
        boxes = [InstanceData(bboxes=proposals[row].bboxes) for row in rows]  # the RoI head renames them in place
        losses = self.roi_head.loss(take_rows(features, rows), boxes, [samples[row] for row in rows])
        halved = {name: 0.5 * value if 'loss' in name else value for name, value in losses.items()}
        return rename_loss_dict(f'{view}.', halved)

    def consistency(self, weak: Maps, strong: Maps, mined: Sequence[Tensor]) -> Tensor:
        """Mean squared error between both views' box features of the mined proposals; both sides learn."""
        rois = bbox2roi(list(mined))
        if not len(rois):
            return weak[0][:0].sum()
        return mse_loss(self.box_features(weak, rois), self.box_features(strong, rois))

    def box_features(self, features: Maps, rois: Tensor) -> Tensor:
        """Output (M, D) of the box head's last shared layer for boxes (M, 5)."""
        extractor, head = self.roi_head.bbox_roi_extractor, self.roi_head.bbox_head
        hidden = extractor(features[:extractor.num_inputs], rois).flatten(1)
        for layer in head.shared_fcs:
            hidden = head.relu(layer(hidden))
        return hidden

    # ------------------------------------------------------------------ predictions

    def predict(self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True) -> SampleList:
        """Detections in the weak views, from the common RPN's proposals.

        Args:
            batch_inputs: (2B, 3, H, W), weak views first.
            batch_data_samples: B samples.
            rescale: give boxes in pixels of the original image instead of the input.
        """
        weak, _, common = self.views(batch_inputs, len(batch_data_samples))
        proposals = self.rpn_head.predict(common, batch_data_samples, rescale=False)
        found = self.roi_head.predict(weak, proposals, batch_data_samples, rescale=rescale)
        return self.add_pred_to_datasample(batch_data_samples, found)

    def _forward(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> tuple:
        """The RoI head's raw outputs for the proposals in images (2B, 3, H, W)."""
        weak, _, common = self.views(batch_inputs, len(batch_data_samples))
        proposals = self.rpn_head.predict(common, batch_data_samples, rescale=False)
        return (self.roi_head.forward(weak, proposals, batch_data_samples),)


def _of_class_zero(cells: InstanceData) -> InstanceData:
    """The same cells with the RPN's one class."""
    same = copy.copy(cells)
    same.labels = torch.zeros_like(cells.labels)
    return same
