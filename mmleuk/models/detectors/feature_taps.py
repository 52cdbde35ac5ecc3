"""Feature maps of named submodules, captured while a detector runs its own forward pass; nothing runs twice."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from mmdet.models.detectors import BaseDetector
from torch import Tensor, nn

from mmleuk.errors import UserError

LAYER_NAME = re.compile(r'(?P<module>[\w.]+?)(?:\[(?P<index>\d+)\])?')

PROBE_SIZE = 128
"""Side in pixels of the empty image that is used to measure widths and strides; enough for strides up to 64."""


class FeatureTap:
    """Keeps the last output of one submodule.

    It registers its bound method :meth:`keep` as a forward hook. ``copy.deepcopy`` of the model (an EMA's, say) copies
    module, hook and tap together, so the copy's hook fills the copy's tap. A lambda would stay with the original.

    Args:
        model: the model that holds the submodule.
        name: dotted name of the submodule, e.g. ``backbone.layer1``, with ``[i]`` behind where the submodule
            returns several maps, e.g. ``backbone[0]``.
    """

    def __init__(self, model: nn.Module, name: str) -> None:
        match = LAYER_NAME.fullmatch(name)
        modules = dict(model.named_modules())
        if match is None or match['module'] not in modules:
            first, _, _ = name.partition('[')
            near = first.rpartition('.')[0]
            children = [key for key in modules if key.rpartition('.')[0] == near and key]
            raise UserError(f'feature layer {name!r} names no submodule of {type(model).__name__}; '
                            f'there are {", ".join(children) or ", ".join(modules)}')
        self.name = name
        self.index = int(match['index']) if match['index'] else None
        self.output: object = None
        modules[match['module']].register_forward_hook(self.keep)

    def keep(self, module: nn.Module, inputs: tuple, output: object) -> None:
        """Forward hook. It returns None: anything else would replace the submodule's output."""
        self.output = output

    def take(self) -> Tensor:
        """The captured map; the tap then drops it. See :meth:`look`."""
        try:
            return self.look()
        finally:
            self.output = None

    def look(self) -> Tensor:
        """The captured map (B, C, H, W).

        Raises:
            UserError: the submodule didn't run, or its output isn't one map.
        """
        output = self.output
        if output is None:
            raise UserError(f"feature layer {self.name!r} took no part in the detector's forward pass; "
                            'name one that does')
        if isinstance(output, (tuple, list)):
            if self.index is None and len(output) == 1:
                output = output[0]
            elif self.index is not None and self.index < len(output):
                output = output[self.index]
        if not isinstance(output, Tensor) or output.dim() != 4:
            shape = tuple(output.shape) if isinstance(output, Tensor) else f'a {type(output).__name__}'
            shape = f'{shape} of {len(output)}' if isinstance(output, (tuple, list)) else shape
            raise UserError(f'feature layer {self.name!r} gives {shape} instead of one map (B, C, H, W); '
                            'for a submodule that returns several, name one as in backbone[0]')
        return output


class FeatureTaps:
    """The taps of several submodules, in order.

    Args:
        model: the model that holds them.
        names: see :class:`FeatureTap`.
    """

    def __init__(self, model: nn.Module, names: Sequence[str]) -> None:
        if isinstance(names, str) or not names:
            raise UserError(f'feature_layers: expected a list of submodule names, got {names!r}')
        self.taps = [FeatureTap(model, name) for name in names]
        self.is_open = False

    @contextmanager
    def open(self) -> Iterator[FeatureTaps]:
        """Context for a forward pass; maps left in the taps are dropped at the end, also after an error."""
        self.clear()
        self.is_open = True
        try:
            yield self
        finally:
            self.is_open = False
            self.clear()

    def clear(self) -> None:
        """Drop all captured maps."""
        for tap in self.taps:
            tap.output = None

    def look(self) -> list[Tensor]:
        """The captured maps; see :meth:`FeatureTap.look`. They stay captured if somebody in :meth:`open` needs them."""
        return [tap.look() for tap in self.taps] if self.is_open else self.take()

    def take(self) -> list[Tensor]:
        """The captured maps; see :meth:`FeatureTap.take`."""
        return [tap.take() for tap in self.taps]


@torch.no_grad()
def probe_features(detector: BaseDetector, taps: FeatureTaps) -> tuple[list[int], list[int]]:
    """Widths and strides of the tapped maps, from one pass of an empty image through backbone and neck.

    The pass changes nothing: no gradient, no dropout, no normalisation statistics, and every submodule gets its
    training mode back.

    Returns:
        Channels C_l and input pixels per map pixel, per tap.
    """
    modes = {module: module.training for module in detector.modules()}
    # The backbone's, since a detector's first one may lie elsewhere: DINO makes its level embedding on the CPU.
    parameter = next(getattr(detector, 'detector', detector).backbone.parameters())
    try:
        detector.eval()
        with taps.open():
            detector.extract_feat(parameter.new_zeros(1, 3, PROBE_SIZE, PROBE_SIZE))
            features = taps.take()
    finally:
        for module, mode in modes.items():
            module.training = mode
    return [feature.shape[1] for feature in features], [round(PROBE_SIZE / feature.shape[2]) for feature in features]
