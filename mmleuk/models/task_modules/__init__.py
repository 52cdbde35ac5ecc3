"""Pure steps between a head and its losses: which predictions become pseudo-labels."""

from mmleuk.models.task_modules.pseudo_labels import PseudoLabelSelector

__all__ = ['PseudoLabelSelector']
