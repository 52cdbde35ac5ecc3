"""Images of single cells without any label: another domain to adapt to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmleuk.datasets.crops import CellCropDataset
from mmleuk.errors import UserError
from mmleuk.registry import DATASETS
from mmleuk.schema import IGNORE
from mmleuk.utils.image_files import files_below


@DATASETS.register_module()
class UnlabelledCrops(CellCropDataset):
    """All images below ``data_prefix['img']``, each a crop of one cell with no known attribute.

    For training beside a labelled data set: ``ConcatDataset`` of both, and mmdet's ``MultiSourceSampler``, which puts
    samples of both into every batch. ``domain_loss`` of :class:`AttributeRecognizer` uses them.

    Args:
        domain: name of these images' domain, in the metainfo of each sample.
        kwargs: see :class:`CellCropDataset`; ``metainfo`` as of the labelled data.
    """

    def __init__(self, *, domain: str = 'target', **kwargs: Any) -> None:
        self.domain = domain
        super().__init__(**kwargs)

    def load_data_list(self) -> list[dict]:
        """Records of all images, by name."""
        root = Path(self.data_prefix['img'])
        if not root.is_dir():
            raise UserError(f'{root}: no such folder; data_root and data_prefix name the folder of the images')
        paths = files_below(root)
        if not paths:
            raise UserError(f'{root}: no image below this folder')
        first_class = self._metainfo['classes'][0]
        records = [self.whole_image(str(path.relative_to(root)), first_class, {}, str(path)) for path in paths]
        for record in records:
            record['domain'] = self.domain
            record['instances'][0]['attributes'] = [IGNORE] * len(self.schema)
        return records
