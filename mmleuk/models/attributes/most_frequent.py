"""Baseline of attribute recognition: always the most frequent value."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from mmdet.models.detectors import BaseDetector
from mmdet.structures import OptSampleList, SampleList
from mmengine.dist import all_reduce
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmleuk.registry import MODELS
from mmleuk.schema import AttributeSchema, resolve_schema


@MODELS.register_module()
class MostFrequentValues(BaseDetector):
    """Counts the values in training, and predicts their frequencies for every cell, whatever it looks like.

    A recogniser has to beat it. It trains and tests as :class:`AttributeRecognizer` does; one epoch is all it needs.

    Args:
        attributes: schema: a preset's name, or ``{attribute: [value names]}``.
        data_preprocessor: config, as of a detector.
    """

    counts: Tensor

    def __init__(self, attributes: str | Mapping[str, object] | AttributeSchema, *,
                 data_preprocessor: dict | None = None, init_cfg: dict | list | None = None) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.schema = resolve_schema(attributes)
        self.register_buffer('counts', torch.zeros(len(self.schema), max(self.schema.cardinalities)))
        self.unused = nn.Parameter(torch.zeros(1))  # an optimiser needs one

    def extract_feat(self, batch_inputs: Tensor) -> Tensor:
        """Images (B, 3, H, W) -> (B, 0): nothing is seen."""
        return batch_inputs.new_zeros(len(batch_inputs), 0)

    def _forward(self, batch_inputs: Tensor, batch_data_samples: OptSampleList = None) -> Tensor:
        """Images (B, 3, H, W) -> frequencies (B, A, Vmax)."""
        totals = self.counts.sum(1, keepdim=True).clamp(min=1)
        return (self.counts / totals).expand(len(batch_inputs), -1, -1)

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Count the known values of the samples; the loss is 0."""
        new = torch.zeros_like(self.counts)
        for sample in batch_data_samples:
            values = sample.gt_instances.attributes  # (N, A)
            known = F.one_hot(values.clamp(min=0), self.counts.shape[1]) * (values >= 0).unsqueeze(2)
            new += known.sum(0).to(new)
        all_reduce(new)  # every process counts all samples
        self.counts += new
        return dict(loss_attributes=self.unused.sum() * 0)

    @torch.no_grad()
    def predict(self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True) -> SampleList:
        """The samples with ``gt_attributes``, as :class:`AttributeRecognizer` gives them."""
        for sample, probs in zip(batch_data_samples, self._forward(batch_inputs).split(1)):
            sample.gt_attributes = InstanceData(attributes=probs.argmax(2), attribute_probs=probs)
        return batch_data_samples
