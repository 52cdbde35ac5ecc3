"""LeukemiaAttri as its authors release it: a subset's name gives files, classes and attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmleuk.datasets.cells import CellDataset
from mmleuk.datasets.file_names import RELEASE_NAME_PATTERN
from mmleuk.datasets.subsets import get_subset
from mmleuk.errors import UserError
from mmleuk.registry import DATASETS


@DATASETS.register_module()
class LeukemiaAttriDataset(CellDataset):
    """The 14 classes and 6 attributes of LeukemiaAttri, and its files by subset.

    Args:
        subset: one of the 13 names of :data:`mmleuk.datasets.subsets.SUBSETS`: gives ``ann_file`` and
            ``data_prefix`` as the release lays its files out under ``data_root``.
        split: 'train' or 'test', with ``subset`` only.
        metainfo: default ``dict(preset='leukemia_attri')``, and so where it names neither preset nor classes.
        kwargs: as :class:`CellDataset`'s.

    Raises:
        UserError: an unknown subset, a split without one, or as :class:`CellDataset`.
    """

    def __init__(self, *, subset: str | None = None, split: str | None = None, ann_file: str = '',
                 data_prefix: Mapping[str, str] | None = None, metainfo: Mapping | None = None,
                 annotation: str | None = None, name_pattern: str | None = RELEASE_NAME_PATTERN,
                 **kwargs: Any) -> None:
        if subset is not None:
            files = get_subset(subset)
            ann_file = ann_file or files.ann_file(split or '')
            data_prefix = data_prefix or dict(img=files.img_prefix(split or ''))
            annotation = annotation or files.annotation(split or '')
        elif split is not None:
            raise UserError(f'split={split!r} goes with subset; without one give ann_file and data_prefix')
        if not {'preset', 'classes'} & set(metainfo or ()):
            metainfo = dict(metainfo or {}, preset='leukemia_attri')
        super().__init__(ann_file=ann_file, data_prefix=data_prefix, metainfo=metainfo, annotation=annotation,
                         name_pattern=name_pattern, **kwargs)
