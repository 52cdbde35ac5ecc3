"""Batches of pairs: images of the source and images of the target."""

from __future__ import annotations

from collections.abc import Mapping

from mmdet.models.data_preprocessors import MultiBranchDataPreprocessor

from mmleuk.datasets.source_target import SOURCE, TARGET
from mmleuk.errors import UserError
from mmleuk.registry import MODELS


@MODELS.register_module()
class SourceTargetDataPreprocessor(MultiBranchDataPreprocessor):
    """MMDetection's preprocessor for several branches, with a clear error without source and target.

    Args:
        data_preprocessor: config of the detector's own preprocessor; it processes each branch, and batches in testing.

    Raises:
        UserError: training data don't come in pairs of source and target.
    """

    def forward(self, data: dict, training: bool = False) -> dict:
        """Training: ``inputs`` and ``data_samples``, each a dict of the branches. Testing: as the detector's own."""
        found = tuple(data['inputs']) if isinstance(data['inputs'], Mapping) else ()
        if training and not {SOURCE, TARGET} <= set(found):
            raise UserError(f'training data come in pairs of {SOURCE} and {TARGET}, got {found or "single images"}; '
                            "put the data set into dict(type='mmleuk.SourceTargetDataset', dataset=..., target=...)")
        return super().forward(data, training)
