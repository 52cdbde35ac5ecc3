"""Copies of a test set under the conditions of :mod:`mmleuk.transforms.interference`."""

from typing import TYPE_CHECKING

from mmleuk.utils.lazy import lazy_names

if TYPE_CHECKING:
    from mmleuk.datasets.interference.copies import interfere

__all__ = ['interfere']

__getattr__ = lazy_names(__name__, {'interfere': 'copies'})
