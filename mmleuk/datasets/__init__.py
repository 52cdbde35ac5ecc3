"""Annotation files -> records."""

from mmleuk.datasets.leukemia_attri import LeukemiaAttriDataset
from mmleuk.datasets.subsets import SUBSETS, Subset, get_subset
from mmleuk.datasets.voc_cells import VOCCellsDataset

__all__ = ['SUBSETS', 'LeukemiaAttriDataset', 'Subset', 'VOCCellsDataset', 'get_subset']
