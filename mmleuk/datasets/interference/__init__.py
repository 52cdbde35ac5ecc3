"""Copies of a test set under the conditions of :mod:`mmleuk.transforms.interference`."""

from mmleuk.datasets.interference.copies import interfere

__all__ = ['interfere']
