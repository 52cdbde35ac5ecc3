"""Images of single cells without any label: another domain to adapt to."""

from __future__ import annotations

import os.path as osp
from typing import Any

from mmleuk.datasets.annotations import read_ground_truth
from mmleuk.datasets.crops import CellCropDataset
from mmleuk.errors import UserError
from mmleuk.registry import DATASETS
from mmleuk.schema import IGNORE
from mmleuk.utils.image_files import check_image_file, files_below


@DATASETS.register_module()
class UnlabelledCrops(CellCropDataset):
    """All images below ``data_prefix['img']``, each a crop of one cell with no known attribute; or a file's cells.

    With ``ann_file``, a COCO file of whatever classes and attributes, the samples are its boxes: put
    :class:`mmleuk.CropCell` into the pipeline.

    For training beside a labelled data set: ``ConcatDataset`` of both, and :class:`mmleuk.EpochMultiSourceSampler`,
    which puts samples of both into every batch. ``domain_loss`` of :class:`AttributeRecognizer` uses them.

    Args:
        domain: name of these images' domain, in the metainfo of each sample.
        kwargs: see :class:`CellCropDataset`; ``metainfo`` as of the labelled data.
    """

    def __init__(self, *, domain: str = 'target', **kwargs: Any) -> None:
        self.domain = domain
        super().__init__(**kwargs)

    def load_data_list(self) -> list[dict]:
        """Records of all images, by name, or of all cells, in the file's order."""
        records = self._cells_of_file() if self.ann_file else self._whole_images()
        for record in records:
            record['domain'] = self.domain
            record['instances'][0]['attributes'] = [IGNORE] * len(self.schema)
        return records

    def _whole_images(self) -> list[dict]:
        root = self._image_root()
        paths = files_below(root)
        if not paths:
            raise UserError(f'{root}: no image below this folder')
        first_class = self._metainfo['classes'][0]
        return [self.whole_image(str(path.relative_to(root)), first_class, {}, str(path)) for path in paths]

    def _cells_of_file(self) -> list[dict]:
        truth, unknown = read_ground_truth(self.ann_file), [IGNORE] * len(self.schema)
        for image in truth.images:
            check_image_file(osp.join(self.data_prefix['img'], image.file_name))
        found = [self._record(image.file_name, (image.width, image.height), cell.box_xyxy, 0, unknown)
                 for image in truth.images for cell in image.cells if not cell.ignore]
        if not found:
            raise UserError(f'{self.ann_file}: has no cell; nothing to train on')
        return found
