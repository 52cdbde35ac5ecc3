"""Preprocessors that turn batches of data samples into a detector's input."""

from mmleuk.models.data_preprocessors.source_target import SourceTargetDataPreprocessor
from mmleuk.models.data_preprocessors.two_views import TwoViewsDataPreprocessor
from mmleuk.models.data_preprocessors.weak_strong import WeakStrongDataPreprocessor

__all__ = ['SourceTargetDataPreprocessor', 'TwoViewsDataPreprocessor', 'WeakStrongDataPreprocessor']
