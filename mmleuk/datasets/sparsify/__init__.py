"""What sparse annotations would have left of complete ones; see :mod:`mmleuk.datasets.sparsify.patches`."""

from mmleuk.datasets.sparsify.cli import add_arguments, run
from mmleuk.datasets.sparsify.patches import sparsify

__all__ = ['add_arguments', 'run', 'sparsify']
