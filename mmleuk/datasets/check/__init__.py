"""Examining a config's data before training on it."""

from mmleuk.datasets.check.cli import add_arguments, run
from mmleuk.datasets.check.examine import Report, check_config, examine_config
from mmleuk.datasets.check.findings import Finding
from mmleuk.datasets.check.head_attributes import check_head_attributes
from mmleuk.datasets.check.num_classes import check_num_classes
from mmleuk.datasets.check.sparse import check_sparse

__all__ = ['Finding', 'Report', 'add_arguments', 'check_config', 'check_head_attributes', 'check_num_classes',
           'check_sparse', 'examine_config', 'run']
