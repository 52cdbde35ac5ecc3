"""LeukemiaAttri in the layout of its release: a subset's name selects files, classes and attributes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmleuk.datasets.cells import CellDataset
from mmleuk.datasets.file_names import RELEASE_NAME_PATTERN
from mmleuk.datasets.release import apply_rules, find_files
from mmleuk.datasets.subsets import get_subset, known_split
from mmleuk.datasets.validation import normalise_coco
from mmleuk.errors import UserError
from mmleuk.registry import DATASETS
from mmleuk.utils.json_files import read_json


@DATASETS.register_module()
class LeukemiaAttriDataset(CellDataset):
    """The 14 classes and 6 attributes of LeukemiaAttri, and its files by subset.

    Annotations are read by the rules of :func:`mmleuk.datasets.release.apply_rules`.

    Args:
        subset: one of the 13 names of :data:`mmleuk.datasets.subsets.SUBSETS`, or the release's (``H_100X_C2``): finds
            ``ann_file`` and ``data_prefix`` under ``data_root`` as :func:`mmleuk.datasets.release.find_files` does.
        split: 'train' or 'test', with ``subset`` only.
        metainfo: default ``dict(preset='leukemia_attri')``, and so where it names neither preset nor classes.
        kwargs: as :class:`CellDataset`'s.

    Raises:
        UserError: the subset is unknown, or a split is given without one; see also :class:`CellDataset`.
    """

    def __init__(self, *, subset: str | None = None, split: str | None = None, ann_file: str = '',
                 data_prefix: Mapping[str, str] | None = None, metainfo: Mapping | None = None,
                 annotation: str | None = None, name_pattern: str | None = RELEASE_NAME_PATTERN,
                 data_root: str = '', **kwargs: Any) -> None:
        if subset is not None:
            named = get_subset(subset)
            found_file, found_folder = find_files(Path(data_root).absolute(), named, known_split(split or ''))
            ann_file = ann_file or found_file
            data_prefix = data_prefix or dict(img=found_folder)
            annotation = annotation or named.annotation(split or '')
        elif split is not None:
            raise UserError(f'split={split!r} goes with subset; without one give ann_file and data_prefix')
        if not {'preset', 'classes'} & set(metainfo or ()):
            metainfo = dict(metainfo or {}, preset='leukemia_attri')
        super().__init__(ann_file=ann_file, data_prefix=data_prefix, metainfo=metainfo, annotation=annotation,
                         name_pattern=name_pattern, data_root=data_root, **kwargs)

    def read_coco(self) -> object:
        """The annotation file's content, by the release's rules."""
        return apply_rules(normalise_coco(read_json(self.ann_file, self.backend_args)))[0]
