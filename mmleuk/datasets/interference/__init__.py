"""Copies of a test set under the conditions of :mod:`mmleuk.transforms.interference`."""

from mmleuk.datasets.interference.cli import add_arguments, run
from mmleuk.datasets.interference.copies import interfere

__all__ = ['add_arguments', 'interfere', 'run']
