"""Find errors in a config's data before training."""

from mmleuk.datasets.check.examine import check_config, examine_config
from mmleuk.datasets.check.findings import Finding, Report
from mmleuk.datasets.check.model import (
    check_head_attributes,
    check_ignored,
    check_num_classes,
    check_sparse,
    find_num_classes,
    find_unused_regions,
)

__all__ = ['Finding', 'Report', 'check_config', 'check_head_attributes', 'check_ignored', 'check_num_classes',
           'check_sparse', 'examine_config', 'find_num_classes', 'find_unused_regions']
