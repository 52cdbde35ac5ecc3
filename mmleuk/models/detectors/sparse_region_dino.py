"""DINO for sparse annotations: in training its queries start where something is known.

Legend: B images, P locations of the encoder's maps, Q queries, D channels.
"""

from __future__ import annotations

from typing import Any

import torch
from mmdet.models.detectors import DINO
from mmdet.structures import SampleList
from torch import Tensor

from mmleuk.errors import UserError
from mmleuk.models.dense_heads.sparse_region_heads import SparseRegionDINOHead
from mmleuk.registry import MODELS
from mmleuk.structures.regions import background_is_known, points_in_regions


@MODELS.register_module()
class SparseRegionDINO(DINO):
    """MMDetection's DINO, whose queries start in the annotated regions and on labelled cells while it trains.

    DINO takes its Q queries from the encoder's locations with the highest scores, and only those learn. Outside the
    regions a query learns nothing (:class:`SparseRegionDINOHead`), so a location there keeps its score. With a fifth of
    each image annotated most queries would be such ones. Prediction is that of DINO.

    Args: as of mmdet's DINO; the head is a :class:`SparseRegionDINOHead`.

    Raises:
        UserError: another head, which would learn cells outside the regions as background.

    Source: LLD 4.3, Eq. 4, for a detector that selects its queries.
    """

    _samples: SampleList | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not isinstance(self.bbox_head, SparseRegionDINOHead):
            raise UserError("SparseRegionDINO needs bbox_head=dict(type='mmleuk.SparseRegionDINOHead'), got "
                            f'{type(self.bbox_head).__name__}')

    def pre_decoder(self, memory: Tensor, memory_mask: Tensor, spatial_shapes: Tensor,
                    batch_data_samples: SampleList | None = None) -> tuple[dict, dict]:
        """The decoder's and the head's inputs; see mmdet's DINO."""
        self._samples = batch_data_samples if self.training else None
        inputs: tuple[dict, dict] = super().pre_decoder(memory, memory_mask, spatial_shapes, batch_data_samples)
        self._samples = None
        return inputs

    def gen_encoder_output_proposals(self, memory: Tensor, *args: Any) -> tuple[Tensor, Tensor]:
        """Features (B, P, D) and boxes before the sigmoid (B, P, 4) to select from; in training (B, Q, ...)."""
        features, proposals = super().gen_encoder_output_proposals(memory, *args)
        if self._samples is None:
            return features, proposals
        chosen = self._choose(features.detach(), known_locations(proposals, self._samples))[..., None]
        return tuple(values.gather(1, chosen.expand(-1, -1, values.shape[2])) for values in (features, proposals))

    @torch.no_grad()
    def _choose(self, features: Tensor, known: Tensor) -> Tensor:
        """Indices (B, Q) of the known locations (B, P) with the highest scores; unknown ones where these run out."""
        scores = self.bbox_head.cls_branches[self.decoder.num_layers](features).float().sigmoid().amax(-1)
        return (scores + known).topk(self.num_queries, dim=1).indices


def known_locations(proposals: Tensor, samples: SampleList) -> Tensor:
    """Find the locations (B, P) in a region, or in the box of a labelled cell.

    Args:
        proposals: (B, P, 4), cx, cy, w, h before the sigmoid; infinite where there is no location.
        samples: B samples with ``gt_instances``.

    Returns:
        (B, P) bool.
    """
    known = []
    for centres, sample in zip(proposals[..., :2].sigmoid(), samples, strict=True):
        height, width = sample.img_shape[:2]
        points = centres * centres.new_tensor([width, height])
        cells = sample.gt_instances
        known.append(background_is_known(points, cells.metainfo) | points_in_regions(points, cells.bboxes))
    return torch.stack(known) & proposals.isfinite().all(-1)
