"""A Pascal VOC folder as a data set, without a conversion."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmleuk.datasets.cells import CellDataset
from mmleuk.datasets.converters.coco_files import SIDE_FILE
from mmleuk.datasets.converters.formats import Reading, read_labels
from mmleuk.datasets.converters.voc import CORNERS
from mmleuk.errors import UserError
from mmleuk.registry import DATASETS


@DATASETS.register_module()
class VOCCellsDataset(CellDataset):
    """Pascal VOC: ``Annotations/*.xml``, a folder of images, and a list of each split's images.

    The records equal those of the COCO JSON that ``mmleuk data convert --from voc --to coco --split ...`` writes: the
    same code reads both. Difficult objects are ignored. If ``mmleuk data convert --to voc`` wrote the folder,
    attributes, annotated regions and all digits of the boxes come from ``mmleuk_side.json``.

    Args:
        ann_file: list of the split's images, such as ``ImageSets/Main/train.txt``: names without suffix, one per line.
        data_root: folder with ``Annotations/``, on a local disk.
        data_prefix: ``dict(img=folder)`` of the images, default ``JPEGImages/``. An image has the name in its XML's
            ``<filename>``, with or without suffix, or the name of the XML file.
        corners: 'pixels' (as VOC: counted from 1, the last pixel inside) or 'edges' (corners from 0).
        use_side_file: False reads only the XML files, not ``mmleuk_side.json``.
        kwargs: see :class:`CellDataset`.

    Raises:
        UserError: a file has a defect, or a name in the list occurs twice or has no XML. The message names file and
            object.
    """

    IMAGE_NAMES = 'data_root, data_prefix and the <filename> in its XML'

    def __init__(self, *, ann_file: str, data_root: str, data_prefix: Mapping[str, str] | None = None,
                 corners: str = 'pixels', use_side_file: bool = True, **kwargs: Any) -> None:
        if corners not in CORNERS:
            raise UserError(f'corners={corners!r} is unknown; it must be {" or ".join(map(repr, CORNERS))}')
        self.corners = corners
        self.use_side_file = use_side_file
        super().__init__(ann_file=ann_file, data_root=data_root,
                         data_prefix=data_prefix or dict(img='JPEGImages/'), **kwargs)

    def read_coco(self) -> object:
        """The XML files of the listed images as the content of a COCO JSON."""
        folder = Path(self.data_root)
        with_side = self.use_side_file and (folder / SIDE_FILE).exists()
        images = Path(self.data_prefix['img'])
        data, _ = read_labels(folder, 'voc', Reading(
            corners=self.corners, images=images if images.is_dir() else None,
            classes=() if with_side else tuple(self._metainfo['classes']),
            listing=Path(self.ann_file), side_file=None if with_side else '', max_overhang_px=self.max_overhang_px))
        return data
