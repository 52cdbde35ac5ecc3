"""YOLOv5's three parameter groups."""

from __future__ import annotations

from typing import cast

from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS, OPTIMIZERS
from mmengine.utils.dl_utils.parrots_wrapper import _BatchNorm, _InstanceNorm
from torch import nn

from mmleuk.errors import UserError
from mmleuk.registry import OPTIM_WRAPPER_CONSTRUCTORS

_NORMS = (_BatchNorm, _InstanceNorm, nn.GroupNorm, nn.LayerNorm)


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class YOLOv5OptimWrapperConstructor:
    """Split parameters into ``decay``, ``norm`` and ``bias`` groups; only the first has weight decay.

    ``bias`` holds every bias (of norm layers too), ``norm`` the weights of normalisation layers, ``decay`` all
    others (convolutions, linear layers, bare parameters). Groups carry their name: ``YOLOv5WarmupHook`` warms biases
    up from above. That hook also scales the weight decay to the batch, since it knows the loader.

    Args:
        optim_wrapper_cfg: ``type``, ``optimizer`` (its ``weight_decay`` is that of the nominal batch) and further
            arguments of the wrapper.
        paramwise_cfg: Must be empty: the groups above are all there is.

    Raises:
        UserError: ``paramwise_cfg`` is given, or no parameter can be trained.

    Example config: ``optim_wrapper = dict(type='mmleuk.YOLOv5OptimWrapper',
    constructor='mmleuk.YOLOv5OptimWrapperConstructor', optimizer=dict(type='SGD', lr=0.01, momentum=0.937,
    weight_decay=5e-4, nesterov=True))``
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        if paramwise_cfg:
            raise UserError('YOLOv5OptimWrapperConstructor makes its own three groups; '
                            f'remove paramwise_cfg={paramwise_cfg} or use the default constructor')
        self.optim_wrapper_cfg = dict(optim_wrapper_cfg)
        self.optimizer_cfg = dict(self.optim_wrapper_cfg.pop('optimizer'))

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the optimiser over the model's groups, in its wrapper."""
        groups = yolov5_param_groups(cast(nn.Module, model.module) if is_model_wrapper(model) else model)
        if not any(group['params'] for group in groups):
            raise UserError('the model has no parameter that can be trained; unfreeze some layers')
        groups = [group for group in groups if group['params']]
        optimizer = OPTIMIZERS.build({**self.optimizer_cfg, 'params': groups})
        return OPTIM_WRAPPERS.build({'type': 'OptimWrapper', **self.optim_wrapper_cfg, 'optimizer': optimizer})


def yolov5_param_groups(model: nn.Module) -> list[dict]:
    """Return ``[{name, params, (weight_decay)}]`` for 'decay', 'norm', 'bias'; each parameter once, frozen never."""
    groups: dict[str, list[nn.Parameter]] = {'decay': [], 'norm': [], 'bias': []}
    seen: set[int] = set()
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) in seen or not parameter.requires_grad:
                continue
            seen.add(id(parameter))
            kind = 'bias' if name == 'bias' else 'norm' if isinstance(module, _NORMS) else 'decay'
            groups[kind].append(parameter)
    return [  # 'decay' first: mmengine logs the first group's learning rate
        {'name': 'decay', 'params': groups['decay']},
        {'name': 'norm', 'params': groups['norm'], 'weight_decay': 0.0},
        {'name': 'bias', 'params': groups['bias'], 'weight_decay': 0.0},
    ]
