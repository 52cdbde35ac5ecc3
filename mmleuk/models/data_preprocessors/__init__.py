"""Preprocessors that turn batches of data samples into a detector's input."""

from mmleuk.models.data_preprocessors.two_views import TwoViewsDataPreprocessor
from mmleuk.models.data_preprocessors.weak_strong import WeakStrongDataPreprocessor

__all__ = ['TwoViewsDataPreprocessor', 'WeakStrongDataPreprocessor']
