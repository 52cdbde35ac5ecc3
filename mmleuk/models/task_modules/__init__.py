"""Pure steps between a head and its losses: which predictions become pseudo-labels, which priors are sampled."""

from mmleuk.models.task_modules.pseudo_labels import PseudoLabelSelector
from mmleuk.models.task_modules.sparse_region_pseudo_sampler import SparseRegionPseudoSampler
from mmleuk.models.task_modules.sparse_region_sampler import SparseRegionSampler

__all__ = ['PseudoLabelSelector', 'SparseRegionPseudoSampler', 'SparseRegionSampler']
