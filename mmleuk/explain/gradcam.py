"""Grad-CAM per attribute: where in a cell's image the network finds the value that it predicts.

Legend: N cells, A attributes, K logits of all attributes, C channels of a feature map of h x w.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmleuk.errors import UserError
from mmleuk.models.attributes.classifier import AttributeClassifier
from mmleuk.schema import nearest

MIN_SIDE = 6
"""The deepest map with at least so many points per side is shown: a map of 2 x 2 says nothing about where."""


@dataclass(frozen=True)
class Activations:
    """Maps of N cells and A attributes.

    Args:
        maps: (N, A, h, w) float32 in [0, 1]; 0 everywhere if nothing speaks for the value.
        values: (N, A) int64 predicted values, which the maps explain.
        probabilities: (N, A) float32 of these values.
        layer: name of the layer whose map it is.
    """

    maps: np.ndarray
    values: np.ndarray
    probabilities: np.ndarray
    layer: str


def class_activation(maps: Tensor, scores: Tensor) -> Tensor:
    """Grad-CAM: channels weighted by the mean gradient of the score, added up, and cut at 0.

    Args:
        maps: (N, C, h, w) in the graph of the scores.
        scores: (N,), each of its own cell alone.

    Returns:
        (N, h, w), the largest value of each cell 1, or 0 if no channel speaks for the score.

    Source: Selvaraju et al., Grad-CAM (ICCV 2017), Eq. 1 and 2; WBCAtt+ C.1.
    """
    gradients, = torch.autograd.grad(scores.sum(), maps, retain_graph=True)
    weights = gradients.mean((2, 3), keepdim=True)
    found = (weights * maps).sum(1).relu().detach()
    highest = found.amax((1, 2), keepdim=True)
    return torch.where(highest > 0, found / highest.clamp(min=1e-20), 0.0)


def explain_attributes(network: nn.Module, read: Callable[[], Tensor], classifier: AttributeClassifier,
                       layer: str | None = None) -> Activations:
    """Maps of all attributes' predicted values.

    Args:
        network: what turns pixels or features into the classifier's features; its layers can be shown.
        read: runs the network and the classifier, and returns the logits (N, K).
        classifier: the classifier.
        layer: name of a layer of the network; default: the deepest with :data:`MIN_SIDE` points per side.

    Raises:
        UserError: there is no such layer, or it has no feature maps.
    """
    with torch.enable_grad(), _recorded(network) as found:
        logits = read()
        name, maps = _choose(found, layer)
        probs = classifier.decode(logits)
        values = probs.argmax(2)
        columns = logits.split(classifier.logit_counts, 1)
        activations = [class_activation(maps, _score(column, value)) for column, value in zip(columns, values.T)]
    return Activations(torch.stack(activations, 1).float().cpu().numpy(), values.cpu().numpy(),
                       probs.detach().amax(2).float().cpu().numpy(), name)


def _score(column: Tensor, value: Tensor) -> Tensor:
    """Logit (N,) of the value; of an attribute with one logit, its negative speaks for value 0."""
    if column.shape[1] == 1:
        return torch.where(value == 1, column[:, 0], -column[:, 0])
    return column.gather(1, value.unsqueeze(1))[:, 0]


@contextmanager
def _recorded(network: nn.Module) -> Iterator[list[tuple[str, Tensor]]]:
    """Outputs of all layers that are feature maps, in the order in which they are computed."""
    found: list[tuple[str, Tensor]] = []

    def keep(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            last = output[-1] if isinstance(output, (tuple, list)) and output else output
            if isinstance(last, Tensor) and last.dim() == 4 and last.requires_grad:
                found.append((name, last))
        return hook

    handles = [module.register_forward_hook(keep(name)) for name, module in network.named_modules() if name]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _choose(found: Sequence[tuple[str, Tensor]], layer: str | None) -> tuple[str, Tensor]:
    names = list(dict.fromkeys(name for name, _ in found))
    if layer is not None:
        if layer not in names:
            raise UserError(f'--layer {layer}: no layer of that name has feature maps{nearest(layer, names)}')
        return next(pair for pair in reversed(found) if pair[0] == layer)
    if not found:
        raise UserError('the network has no layer with feature maps, so Grad-CAM has nothing to show')
    wide = [pair for pair in found if min(pair[1].shape[2:]) >= MIN_SIDE]
    return wide[-1] if wide else max(reversed(found), key=lambda pair: min(pair[1].shape[2:]))
