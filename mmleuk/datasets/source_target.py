"""Pairs of images for domain adaptation: one with labels from the source, one without from the target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mmleuk.errors import UserError
from mmleuk.registry import DATASETS

SOURCE, TARGET, TARGET_STRONG = 'source', 'target', 'target_strong'
"""Branches of a pair. The third is optional: another view of the target's image, of the same geometry."""


@DATASETS.register_module()
class SourceTargetDataset:
    """A labelled data set whose every sample also has a random image of another, unlabelled one.

    An epoch sees each image of the source once. The target's image is drawn at random, so images of a larger target
    are all seen in the long run.

    Args:
        dataset: config of the source: any data set, with its wrappers such as ``MultiImageMixDataset``.
        target: config of the target, likewise; its innermost data set has ``annotation='hidden'``, so no label of the
            target can reach the model. Its pipeline may end in MMDetection's ``MultiBranch`` with the branches
            ``target`` and ``target_strong``.

    A sample has ``inputs`` and ``data_samples``, each a dict of the branches ``source``, ``target`` and, if there is
    one, ``target_strong``; :class:`mmleuk.SourceTargetDataPreprocessor` takes them.

    Raises:
        UserError: the target's labels aren't hidden, or its classes differ from the source's.
    """

    def __init__(self, dataset: Mapping, target: Mapping) -> None:
        self.dataset: Any = DATASETS.build(dataset)
        self.target: Any = DATASETS.build(target)
        if getattr(_innermost(self.target), 'annotation', None) != 'hidden':
            raise UserError("SourceTargetDataset: the target's labels would be read; set annotation='hidden' in its "
                            'mmleuk.CellDataset')
        classes = [part.metainfo.get('classes') for part in (self.dataset, self.target)]
        if classes[0] != classes[1]:
            raise UserError(f'SourceTargetDataset: the source has the classes {classes[0]}, the target {classes[1]}; '
                            'give both the same metainfo')

    @property
    def metainfo(self) -> dict:
        """The source's."""
        return self.dataset.metainfo

    def full_init(self) -> None:
        """Load both."""
        self.dataset.full_init()
        self.target.full_init()
        if not len(self.target):
            raise UserError('SourceTargetDataset: the target has no image; look at its ann_file and filter_cfg')

    def get_data_info(self, index: int) -> dict:
        """The source's record."""
        return self.dataset.get_data_info(index)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> dict[str, dict]:
        target = self.target[np.random.randint(len(self.target))]
        if not isinstance(target['inputs'], Mapping):
            target = {key: {TARGET: value} for key, value in target.items()}
        source = self.dataset[index]
        return {key: {SOURCE: source[key], **target[key]} for key in ('inputs', 'data_samples')}


def _innermost(dataset: Any) -> Any:
    while hasattr(dataset, 'dataset'):
        dataset = dataset.dataset
    return dataset
