"""Pure steps between a head and its losses: which priors are sampled."""

from mmleuk.models.task_modules.sparse_region_pseudo_sampler import SparseRegionPseudoSampler
from mmleuk.models.task_modules.sparse_region_sampler import SparseRegionSampler

__all__ = ['SparseRegionPseudoSampler', 'SparseRegionSampler']
