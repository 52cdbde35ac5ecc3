"""Annotation files -> records. The data set classes need MMDetection, so they are imported on first use."""

from typing import TYPE_CHECKING

from mmleuk.datasets.subsets import SUBSETS, Subset, get_subset
from mmleuk.utils.lazy import lazy_names

if TYPE_CHECKING:
    from mmleuk.datasets.cell_masks import CellMaskDataset
    from mmleuk.datasets.cells import CellDataset
    from mmleuk.datasets.crops import CellCropDataset
    from mmleuk.datasets.label_noise import NoisyCrops
    from mmleuk.datasets.leukemia_attri import LeukemiaAttriDataset
    from mmleuk.datasets.mixed import MultiImageMixDataset
    from mmleuk.datasets.source_sampler import EpochMultiSourceSampler
    from mmleuk.datasets.source_target import SourceTargetDataset
    from mmleuk.datasets.unlabelled_crops import UnlabelledCrops
    from mmleuk.datasets.voc_cells import VOCCellsDataset

__all__ = ['SUBSETS', 'CellCropDataset', 'CellDataset', 'CellMaskDataset', 'EpochMultiSourceSampler',
           'LeukemiaAttriDataset', 'MultiImageMixDataset', 'NoisyCrops', 'SourceTargetDataset', 'Subset',
           'UnlabelledCrops', 'VOCCellsDataset', 'get_subset']

__getattr__ = lazy_names(__name__, {
    'CellCropDataset': 'crops', 'CellDataset': 'cells', 'CellMaskDataset': 'cell_masks',
    'EpochMultiSourceSampler': 'source_sampler',
    'LeukemiaAttriDataset': 'leukemia_attri', 'MultiImageMixDataset': 'mixed',
    'NoisyCrops': 'label_noise', 'SourceTargetDataset': 'source_target', 'UnlabelledCrops': 'unlabelled_crops',
    'VOCCellsDataset': 'voc_cells'})
