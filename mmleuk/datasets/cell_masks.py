"""Images with a mask of cell parts each."""

from __future__ import annotations

import os.path as osp
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.dataset import BaseDataset

from mmleuk.datasets.presets import make_palette
from mmleuk.errors import UserError
from mmleuk.registry import DATASETS
from mmleuk.structures.cell_parts import PALETTE, PARTS
from mmleuk.structures.mask_files import check_mask_file, mask_path
from mmleuk.utils.image_files import files_below


@DATASETS.register_module()
class CellMaskDataset(BaseDataset):
    """Every image of a folder with its mask, for MMSegmentation's models.

    Args:
        data_root: folder of the data.
        data_prefix: ``dict(img=folder, mask=folder)``; one folder can hold both. Sub-folders count as well.
        mask_suffix: what replaces the image's suffix in the name of its mask. Files that end with it are no images.
        metainfo: ``dict(classes=...)``: the parts by value; by default the six of WBCAtt+. ``palette``: RGB colours.
        kwargs: see mmengine's BaseDataset.

    Records have ``img_path``, ``file_name``, ``img_id``, ``height``, ``width`` (pixels), ``seg_map_path``, and the
    keys that MMSegmentation's transforms need.

    Raises:
        UserError: the folder is missing or has no image, an image has no mask, or a mask another size than its image.
    """

    def __init__(self, *, data_root: str = '', data_prefix: Mapping[str, str] | None = None, mask_suffix: str = '.png',
                 metainfo: Mapping | None = None, **kwargs: Any) -> None:
        given = dict(metainfo or {})
        parts = tuple(given.get('classes', PARTS))
        spare = dict(zip(parts, make_palette(len(parts))))
        given = dict(palette=[PALETTE.get(part, spare[part]) for part in parts]) | given | dict(classes=parts)
        self.mask_suffix = mask_suffix
        super().__init__(data_root=data_root, data_prefix=dict(data_prefix or dict(img='', mask='')), metainfo=given,
                         **kwargs)

    def load_data_list(self) -> list[dict]:
        """Records in the order of the names."""
        folder = Path(self.data_prefix['img'] or '.')
        if not folder.is_dir():
            raise UserError(f'{folder}: no such folder of images; data_root and data_prefix name it')
        mask_folder = self.data_prefix.get('mask', self.data_prefix['img'])
        same = mask_folder == self.data_prefix['img']
        names = [path.relative_to(folder).as_posix() for path in files_below(folder)
                 if not (same and path.name.endswith(self.mask_suffix))]
        if not names:
            raise UserError(f'{folder}: holds no image; nothing to train or test on')
        return [self._record(name, mask_path(name, mask_folder, self.mask_suffix)) for name in names]

    def _record(self, name: str, mask: str) -> dict:
        path = osp.join(self.data_prefix['img'], name)
        width, height = check_mask_file(mask, path)
        return dict(img_path=path, file_name=name, img_id=name, height=height, width=width, seg_map_path=mask,
                    label_map=None, reduce_zero_label=False, seg_fields=[])
