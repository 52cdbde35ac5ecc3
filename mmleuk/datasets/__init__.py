"""Annotation files -> records."""

from mmleuk.datasets.leukemia_attri import LeukemiaAttriDataset
from mmleuk.datasets.subsets import SUBSETS, Subset, get_subset

__all__ = ['SUBSETS', 'LeukemiaAttriDataset', 'Subset', 'get_subset']
