"""Batches of data samples to what a detector takes."""

from mmleuk.models.data_preprocessors.two_views import TwoViewsDataPreprocessor
from mmleuk.models.data_preprocessors.weak_strong import WeakStrongDataPreprocessor

__all__ = ['TwoViewsDataPreprocessor', 'WeakStrongDataPreprocessor']
