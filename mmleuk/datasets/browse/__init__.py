"""Pictures of training samples, augmented: :mod:`mmleuk.report.samples` draws them."""

from mmleuk.datasets.browse.cli import add_arguments, run

__all__ = ['add_arguments', 'run']
