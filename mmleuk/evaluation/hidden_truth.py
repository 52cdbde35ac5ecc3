"""Images of a sparse training set with the cells that aren't annotated.

For analysis only: training must never see the complete annotation.
"""

from __future__ import annotations

import os.path as osp
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from mmdet.registry import DATASETS
from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config
from mmengine.registry import init_default_scope
from numpy.typing import NDArray

from mmleuk.datasets.annotations import AnnotationReader
from mmleuk.datasets.cells import CellDataset
from mmleuk.errors import UserError
from mmleuk.evaluation.pseudo_label_quality import HiddenCells, count_hidden, hide
from mmleuk.structures.ground_truth import ImageTruth
from mmleuk.utils.config_file import building


@dataclass(frozen=True)
class SparseImages:
    """Images of a sparse training set with the cells that aren't annotated.

    Attributes:
        dataset: the training set with the test pipeline; annotations are in input pixels.
        indices: the images of ``dataset`` to analyse.
        hidden: cells per entry of ``indices``, in pixels of the original image.
    """

    dataset: CellDataset
    indices: Sequence[int]
    hidden: Sequence[HiddenCells]

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names by label."""
        return tuple(self.dataset.metainfo['classes'])

    def count_hidden(self) -> NDArray[np.int64]:
        """(C,) hidden cells by class."""
        counts = [count_hidden(hidden, len(self.classes)) for hidden in self.hidden]
        return np.sum(counts, 0, dtype=np.int64) if counts else np.zeros(len(self.classes), np.int64)


def load_sparse_images(cfg: Config, truth: str, limit: int | None = None) -> SparseImages:
    """The training images of a config with the test pipeline: no augmentation.

    Args:
        cfg: config with a sparse ``train_dataloader``.
        truth: complete annotation file of the same images, relative to the data set's ``data_root``.
        limit: number of images, evenly spread over the list; default all.

    Raises:
        UserError: the set isn't sparse, or ``truth`` isn't complete or lacks an image.
    """
    dataset = build_sparse_dataset(cfg)
    count = len(dataset)
    indices = range(count) if limit is None else np.unique(np.linspace(0, count - 1, min(limit, count)).round())
    cells = _complete_cells(dataset, osp.join(dataset.data_root or '', truth))
    hidden = []
    for index in indices:
        record = dataset.get_data_info(int(index))
        if record['img_path'] not in cells:
            raise UserError(f'{truth}: lacks the training image {record["img_path"]}; the truth must be the complete '
                            f'annotation of the images of {dataset.ann_file}')
        hidden.append(_hidden_cells(cells[record['img_path']], record['annotated_regions']))
    return SparseImages(dataset, [int(index) for index in indices], hidden)


def build_sparse_dataset(cfg: Config) -> CellDataset:
    """The config's training set with its test pipeline; annotations are loaded first, so they are scaled with inputs.

    Raises:
        UserError: the training set isn't a single data set of mmleuk, or isn't sparse.
    """
    init_default_scope(cfg.get('default_scope') or 'mmdet')
    settings = cfg.train_dataloader.dataset
    while 'dataset' in settings:
        settings = settings.dataset
    steps = [step for step in get_test_pipeline_cfg(cfg) if 'Annotations' not in str(step['type'])]
    pipeline = [steps[0], dict(type='mmleuk.LoadCellAnnotations'), *steps[1:]]
    with building(cfg):
        dataset = DATASETS.build({**settings, 'pipeline': pipeline})
    if not isinstance(dataset, CellDataset):
        raise UserError(f'the training set is a {type(dataset).__name__}; pseudo-labels are analysed on one '
                        'mmleuk.CellDataset')
    dataset.full_init()
    if dataset.annotation != 'sparse':
        raise UserError(f'{dataset.ann_file}: annotation={dataset.annotation!r} hides no cells; for a set with regions '
                        'pass --cfg-options train_dataloader.dataset.dataset.annotation=sparse')
    return dataset


def _complete_cells(dataset: CellDataset, path: str) -> dict[str, ImageTruth]:
    """Images of the complete annotation, by the paths in the records of ``dataset``."""
    reader = AnnotationReader(dataset.metainfo['classes'], dataset.schema, max_overhang_px=dataset.max_overhang_px,
                              name_pattern=dataset.name_pattern, backend_args=dataset.backend_args)
    annotations = reader.read(path)
    annotations.raise_defects()
    for image in annotations.images:
        if not image.is_known_everywhere:
            raise UserError(f'{path}: image {image.file_name}: only a region of it is annotated; the truth must be '
                            'complete, give another file with --truth')
    return {osp.join(dataset.data_prefix['img'], image.file_name): image for image in annotations.images}


def _hidden_cells(image: ImageTruth, regions_xyxy: Sequence[Sequence[float]]) -> HiddenCells:
    return hide(image.boxes_xyxy, image.labels, image.ignored, np.array(regions_xyxy, np.float64))
