"""A loss of 0 for parts that a batch gives nothing to learn."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def no_loss(*modules: nn.Module) -> Tensor:
    """0, of which all parameters of the modules are part: each gets a gradient of 0 instead of none.

    DistributedDataParallel waits for a gradient of every parameter, unless it searches for unused ones. Nothing is
    multiplied by 0, so weights that aren't finite give 0 as well.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> no_loss(layer).backward()
        >>> layer.weight.grad
        tensor([[0., 0.]])
    """
    return torch.cat([parameter.reshape(-1)[:0] for module in modules for parameter in module.parameters()]).sum()
