"""StructureAwareRecognizer: the attributes of single-cell images from the parts of the cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmdet.structures import OptSampleList
from torch import Tensor

from mmleuk.errors import UserError
from mmleuk.models.attributes.recognizer import AttributeRecognizer
from mmleuk.models.attributes.structure import Aggregation, PartGroups, Reading, StructureExtractor
from mmleuk.registry import MODELS
from mmleuk.schema import AttributeSchema
from mmleuk.structures.cell_parts import PARTS


@MODELS.register_module()
class StructureAwareRecognizer(AttributeRecognizer):
    """:class:`AttributeRecognizer` that sees the cell part by part, with a mask per image, true or predicted.

    The pipeline loads the mask with :class:`mmleuk.LoadPartMask` before the image is scaled.

    Args:
        attributes: as of :class:`AttributeRecognizer`.
        groups, aggregation, reading: as of :class:`StructureExtractor`.
        kwargs: those of :class:`AttributeRecognizer`.

    Source: WBCAtt+ 3.3, B.3; the ablations of Tables 8, 9 and 10 and of B.3.1 are its arguments.
    """

    def __init__(self, attributes: str | Mapping[str, object] | AttributeSchema, *, crop_size: int,
                 encoder: dict | None = None, dropout: float = 0.2, groups: PartGroups = PARTS,
                 aggregation: Aggregation = 'attention', reading: Reading = 'masked_images', **kwargs: Any) -> None:
        extractor = StructureExtractor(crop_size, encoder, dropout, groups=groups, aggregation=aggregation,
                                       reading=reading)
        super().__init__(attributes, crop_size=crop_size, dropout=dropout, extractor=extractor, **kwargs)

    def extract_feat(self, batch_inputs: Tensor) -> Tensor:
        """There are no features without masks.

        Raises:
            UserError: always.
        """
        return self.features(batch_inputs)

    def features(self, batch_inputs: Tensor, batch_data_samples: OptSampleList = None) -> Tensor:
        """Crops (B, 3, S, S), with a mask in each sample, -> features (B, D).

        Raises:
            UserError: a sample has no mask, or one of another size than the input.
        """
        return self.extractor(batch_inputs, sample_masks(batch_inputs, batch_data_samples))


def sample_masks(batch_inputs: Tensor, batch_data_samples: OptSampleList) -> Tensor:
    """The masks of a batch's samples, (B, S, S).

    Raises:
        UserError: as :meth:`StructureAwareRecognizer.features`.
    """
    masks = []
    for sample in batch_data_samples or [None] * len(batch_inputs):
        name = sample.get('img_path', 'an image') if sample is not None else 'an image'
        if sample is None or 'gt_sem_seg' not in sample:
            raise UserError(f'{name}: has no mask, and StructureAwareRecognizer needs one; put mmleuk.LoadPartMask '
                            'into the pipeline, before the image is scaled. mmleuk segment predicts masks')
        mask = sample.gt_sem_seg.sem_seg[0]
        if mask.shape != batch_inputs.shape[2:]:
            sizes = ' and '.join(f'{width}x{height}' for height, width in (mask.shape, batch_inputs.shape[2:]))
            raise UserError(f'{name}: mask and input are {sizes} px; load the mask before the image is scaled')
        masks.append(mask)
    return torch.stack(masks).to(batch_inputs.device)
