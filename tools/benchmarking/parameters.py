"""How many weights a config's model has."""

from __future__ import annotations

import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope


def count_parameters(cfg: Config) -> int:
    """Number of weights of ``cfg.model``; no memory is taken for them."""
    init_default_scope(cfg.get('default_scope') or 'mmdet')
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    return sum(parameter.numel() for parameter in model.parameters())
