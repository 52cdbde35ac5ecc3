"""Losses that count less: weighed ones, and a loss of 0 for parts of a model that learn nothing from a batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def no_loss(*modules: nn.Module) -> Tensor:
    """A loss of 0 that depends on all parameters of the modules: each gets a gradient of 0 instead of None.

    DistributedDataParallel waits for a gradient of every parameter, unless it searches for unused ones. Nothing is
    multiplied by 0, so the loss is 0 even if a weight is not finite.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> no_loss(layer).backward()
        >>> layer.weight.grad
        tensor([[0., 0.]])
    """
    return torch.cat([parameter.reshape(-1)[:0] for module in modules for parameter in module.parameters()]).sum()


def weigh(loss: Any, gain: float) -> Any:
    """A loss, or each of several, times a gain."""
    return loss * gain if isinstance(loss, Tensor) else [part * gain for part in loss]
