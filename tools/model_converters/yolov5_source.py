"""Reads the tensors and class names of a YOLOv5 checkpoint (Ultralytics, release 6) without running code from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from inert_pickle import Placeholder, read_inert
from mmleuk.errors import UserError
from mmleuk.models.backbones.yolov5 import NORM_CFG

STEM = 'model.0.conv.weight'
"""The first convolution, which every YOLOv5 has."""


@dataclass(frozen=True)
class Source:
    """What a checkpoint holds.

    Attributes:
        tensors: by name, 'model.0.conv.weight' and so on.
        class_names: None where the file names none.
    """

    tensors: dict[str, Tensor]
    class_names: tuple[str, ...] | None = None


def read_source(path: str | Path) -> Source:
    """Read a checkpoint (whole model, training checkpoint or state dict); its EMA weights where it has them.

    Raises:
        UserError: unreadable, or no YOLOv5 in it.
    """
    content = read_inert(path)
    if isinstance(content, Mapping):
        found = [content[key] for key in ('ema', 'model', 'state_dict') if content.get(key) is not None]
        content = found[0] if found else content
    if isinstance(content, Placeholder):
        tensors, names = module_tensors(content), _class_names(_find_names(content))
        _check_modules(content, path)
    else:
        tensors = {k: v for k, v in content.items() if isinstance(v, Tensor)} if isinstance(content, Mapping) else {}
        names = None
    if not tensors:
        raise UserError(f'{path}: holds no weights (a {type(content).__name__}); '
                        'give the .pt file that YOLOv5 training wrote')
    return Source(_strip_prefix(tensors), names)


def module_tensors(module: Placeholder, prefix: str = '', depth: int = 0) -> dict[str, Tensor]:
    """What ``state_dict()`` of the ``nn.Module`` would give that the placeholder stands for."""
    tensors: dict[str, Tensor] = {}
    if depth > 32:
        raise UserError('modules are nested more than 32 deep; this is no YOLOv5 checkpoint')
    hidden = module.get('_non_persistent_buffers_set') or ()
    for kind in ('_parameters', '_buffers'):
        for name, value in _items(module.get(kind)):
            if isinstance(value, Tensor) and name not in hidden:
                tensors[prefix + name] = value
    for name, child in _items(module.get('_modules')):
        if isinstance(child, Placeholder):
            tensors.update(module_tensors(child, f'{prefix}{name}.', depth + 1))
    return tensors


def _items(mapping: Any) -> list[tuple[str, Any]]:
    return list(mapping.items()) if isinstance(mapping, Mapping) else []


def _check_modules(module: Placeholder, path: str | Path) -> None:
    """Refuse what tensors don't show: another activation, another epsilon."""
    for name, child in _items(module.get('_modules')):
        if not isinstance(child, Placeholder):
            continue
        kind = child.origin.rpartition('.')[2]
        if name == 'act' and kind not in ('SiLU', 'Identity'):
            raise UserError(f'{path}: activation {kind}; only SiLU, that of release 6, can be converted')
        if kind == 'BatchNorm2d' and child.get('eps') != NORM_CFG['eps']:
            raise UserError(f"{path}: batch norm eps {child.get('eps')}, release 6 has {NORM_CFG['eps']}")
        _check_modules(child, path)


def _find_names(module: Placeholder) -> Any:
    inner = module.get('_modules')
    wrapped = inner.get('module') if isinstance(inner, Mapping) else None
    return wrapped.get('names') if isinstance(wrapped, Placeholder) else module.get('names')


def _class_names(names: Any) -> tuple[str, ...] | None:
    if isinstance(names, Mapping):
        names = [names.get(index) for index in range(len(names))]
    if isinstance(names, (list, tuple)) and names and all(isinstance(name, str) for name in names):
        return tuple(names)
    return None


def _strip_prefix(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without the names that wrappers put in front ('module.', 'model.')."""
    for name in tensors:
        if name.endswith('.' + STEM):
            prefix = name[:-len(STEM)]
            return {key.removeprefix(prefix): value for key, value in tensors.items()}
    return tensors
