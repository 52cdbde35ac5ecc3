"""Data samples -> losses and predictions: backbones, necks, heads, detectors, losses."""

from mmleuk.models import (
    adapt,
    attributes,
    backbones,
    data_preprocessors,
    dense_heads,
    detectors,
    labellers,
    losses,
    necks,
    roi_heads,
    task_modules,
)

__all__ = ['adapt', 'attributes', 'backbones', 'data_preprocessors', 'dense_heads', 'detectors', 'labellers', 'losses',
           'necks', 'roi_heads', 'task_modules']
