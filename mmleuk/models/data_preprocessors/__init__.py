"""Batches of data samples to what a detector takes."""

from mmleuk.models.data_preprocessors.two_views import TwoViewsDataPreprocessor

__all__ = ['TwoViewsDataPreprocessor']
