"""Load the mask of a cell's parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mmcv.transforms import BaseTransform

from mmleuk.errors import UserError
from mmleuk.registry import TRANSFORMS
from mmleuk.structures.cell_parts import PARTS, merge_table
from mmleuk.structures.mask_files import check_mask_file, mask_path, read_mask


@TRANSFORMS.register_module()
class LoadPartMask(BaseTransform):
    """Add ``gt_seg_map``, (H, W) uint8: the number of a part per pixel, :data:`UNKNOWN` where unknown.

    MMDetection's and MMSegmentation's transforms move it with the image. In training load it before the image is
    scaled, for segmentation in testing after that, since scores count original pixels.

    Args:
        parts: names by value in the files.
        merge: ``{part: part that it becomes}``; names stay, so that models of merged and unmerged parts are alike.
        folder: of the masks; by default the record's ``seg_map_path`` names the file.
        suffix: with ``folder``: what replaces the suffix of the record's ``file_name``.

    Raises:
        UserError: the mask is missing or broken, has another size than its image, or a value that is no part.
    """

    def __init__(self, *, parts: Sequence[str] = PARTS, merge: Mapping[str, str] | None = None,
                 folder: str | None = None, suffix: str = '.png') -> None:
        self.parts, self.folder, self.suffix = tuple(parts), folder, suffix
        self.table = merge_table(self.parts, merge or {})

    def check(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Compare each image's size with its mask's, by the files' headers, before anything is trained.

        Raises:
            UserError: a mask is missing, or has another size than its image.
        """
        paths = {record['img_path']: mask_path(record['file_name'], self.folder, self.suffix)
                 for record in records if self.folder is not None}
        for image, mask in paths.items():
            check_mask_file(mask, image)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Results with ``gt_seg_map``, listed in ``seg_fields``."""
        path = results.get('seg_map_path')
        if self.folder is not None:
            path = mask_path(results['file_name'], self.folder, self.suffix)
        if not path:
            raise UserError(f'{results.get("img_path")}: the record names no mask; give LoadPartMask a folder, or the '
                            'data set masks')
        mask = read_mask(path, len(self.parts))
        height, width = results.get('ori_shape', mask.shape)
        if mask.shape != (height, width):
            raise UserError(f'{path}: the mask is {mask.shape[1]}x{mask.shape[0]} px, its image '
                            f'{results.get("img_path")} {width}x{height}; give each image the mask of its own size')
        return results | dict(gt_seg_map=self.table[mask], seg_map_path=path,
                              seg_fields=[*results.get('seg_fields', ()), 'gt_seg_map'])

    def __repr__(self) -> str:
        return f'{type(self).__name__}(parts={self.parts}, folder={self.folder!r}, suffix={self.suffix!r})'
