"""Batches with two views of every image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmdet.models.data_preprocessors import MultiBranchDataPreprocessor
from torch import Tensor

from mmleuk.errors import UserError
from mmleuk.registry import MODELS

VIEWS = ('original', 'augmented')
"""Branches of ``MultiBranch``. Testing uses only the first."""
PLAIN = 'plain'
"""A third branch, which nobody learns: the image that a teacher sees."""


def join_views(batch: Any) -> Any:
    """Images (B, 3, H, W) or samples of both views, original first, as one batch of 2B; other batches as they are."""
    if not isinstance(batch, Mapping):
        return batch
    parts = [batch[view] for view in VIEWS]
    return torch.cat(parts) if isinstance(parts[0], Tensor) else [sample for part in parts for sample in part]


@MODELS.register_module()
class TwoViewsDataPreprocessor(MultiBranchDataPreprocessor):
    """MMDetection's preprocessor for several branches, with a clear error without two views.

    Args:
        data_preprocessor: config of the detector's own preprocessor; it processes each view, and batches in testing.

    Raises:
        UserError: training data don't come in the branches of :data:`VIEWS`, with or without :data:`PLAIN`.
    """

    def forward(self, data: dict, training: bool = False) -> dict:
        """Training: ``inputs`` and ``data_samples``, each a dict of the views. Testing: as the detector's own."""
        views = tuple(data['inputs']) if isinstance(data['inputs'], Mapping) else ()
        if training and set(views) - {PLAIN} != set(VIEWS):
            raise UserError(f'training data come in two views, {VIEWS}; got {views or "one"}. End the pipeline '
                            f"with dict(type='MultiBranch', branch_field={list(VIEWS)}, original=[...], "
                            'augmented=[...])')
        return super().forward(data, training)
