"""Find misspelt keys that no constructor reports.

Most misspelt keys raise a ``TypeError`` in the constructor that gets them; :func:`mmleuk.utils.config_file.building`
turns it into one line. MMEngine and MMDetection silently ignore the others, or fail only after an epoch: keys at the
top of a config, keys of dicts that are read with ``.get`` (``test_cfg``), and keys of classes that take ``**kwargs``
(a checkpoint hook's ``intervall``). This module compares these keys with the known ones. It refuses only keys that are
close to a known one: configs may have their own variables, and models may read keys that this list lacks.
"""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from mmcv import ops
from mmengine import registry as mmengine_registry
from mmengine.config import Config
from mmengine.registry import Registry
from mmengine.runner import Runner

import mmleuk.registry  # noqa: F401  # MMDetection's registries and ours are known from then on
from mmleuk.errors import UserError
from mmleuk.utils.config_tree import walk

_RUNNER_KEYS = frozenset(inspect.signature(Runner.__init__).parameters) - {'self', 'cfg'}

# Keys that runners and tools of MMEngine and MMDetection read. All other keys at the top are variables.
TOP_LEVEL_KEYS = _RUNNER_KEYS | {
    'activation_checkpointing', 'compile', 'custom_imports', 'efficient_conv_bn_eval', 'find_unused_parameters',
    'model_wrapper_cfg', 'runner_type', 'sync_bn', 'test_pipeline', 'train_pipeline', 'tta_model', 'tta_pipeline',
}

MMDET2_KEYS = {
    'optimizer': 'put it in optim_wrapper=dict(optimizer=...)',
    'optimizer_config': 'put grad_clip in optim_wrapper=dict(clip_grad=...)',
    'lr_config': 'use param_scheduler',
    'runner': 'use train_cfg=dict(max_epochs=...)',
    'total_epochs': 'use train_cfg=dict(max_epochs=...)',
    'checkpoint_config': 'use default_hooks=dict(checkpoint=...)',
    'log_config': 'use default_hooks=dict(logger=...)',
    'evaluation': 'use val_evaluator and train_cfg=dict(val_interval=...)',
    'resume_from': 'use load_from with resume=True, or --resume',
    'dist_params': 'use env_cfg=dict(dist_cfg=...)',
    'data': 'use train_dataloader, val_dataloader and test_dataloader',
}

DICT_KEYS = ('model', 'default_hooks', 'train_cfg', 'val_cfg', 'test_cfg', 'optim_wrapper', 'log_processor',
             'visualizer', 'train_dataloader', 'val_dataloader', 'test_dataloader', 'env_cfg', 'auto_scale_lr',
             'randomness')

_MODEL_CFG = """
    allowed_border assigner center_ratio ga_assigner ga_sampler ignore_ratio init initial_assigner mask_size max_per_img
    min_bbox_size neg_pos_ratio nms nms_pre pos_radius pos_weight rcnn refine reg_assigner rpn rpn_proposal sampler
    center_topk class_agnostic conf_thr corner_topk filter_thr iou_thr iou_threshold kernel local_maximum_kernel
    mask_thr mask_thr_binary max_num max_per_image method min_mask_area mode multi_label num_per_class score_thr sigma
    top_k topk topk_per_class update_thr with_nms yolox_style
"""
# Dicts without a type, by the key that holds them; those of a model's train_cfg and test_cfg nest.
_PLAIN_DICTS = {
    'env_cfg': 'cudnn_benchmark mp_cfg dist_cfg resource_limit',
    'mp_cfg': 'mp_start_method opencv_num_threads',
    'auto_scale_lr': 'enable base_batch_size',
    'clip_grad': 'type max_norm norm_type error_if_nonfinite foreach clip_value',
    'paramwise_cfg': 'custom_keys bias_lr_mult bias_decay_mult norm_decay_mult flat_decay_mult dwconv_decay_mult '
                     'dcn_offset_lr_mult bypass_duplicate',
    'filter_cfg': 'filter_empty_gt min_size',
    'nms': 'type iou_threshold iou_thr score_threshold offset max_num split_thr class_agnostic min_score method sigma',
}

# The builder reads these keys of a dict, not the class.
_BUILDER_KEYS = {'type', 'priority', 'optimizer', 'constructor', 'paramwise_cfg', 'by_epoch', 'deformable_groups'}

_CLOSE = 0.8  # difflib's ratio: 'score_thrr' and 'score_thr' have 0.95, 'nms_pre' and 'nms' 0.6
_CLOSE_AT_TOP = 0.87  # 'trian_cfg' and 'train_cfg' have 0.89; 'interval' and 'val_interval', a variable, 0.8


def check_config_keys(cfg: Config | Mapping) -> None:
    """Refuse misspelt keys and impossible numbers of epochs that no constructor reports before training.

    Args:
        cfg: A whole config. Not changed.

    Raises:
        UserError: a key or number is wrong. The message names the path of the first one, and the nearest known key.

    Example:
        >>> check_config_keys(dict(trian_cfg=dict(max_epochs=3)))
        Traceback (most recent call last):
        mmleuk.errors.UserError: config: unknown key 'trian_cfg'; did you mean 'train_cfg'?
    """
    for problem in _problems(dict(cfg.items()), cfg.get('default_scope') or 'mmdet'):
        raise UserError(f'{getattr(cfg, "filename", None) or "config"}: {problem}')


def _problems(tree: Mapping, scope: str) -> Iterator[str]:
    for key, value in tree.items():
        if key in MMDET2_KEYS:
            yield f'{key!r} is MMDetection 2\'s and has no effect; {MMDET2_KEYS[key]}'
        if key in DICT_KEYS and value is not None and not isinstance(value, Mapping):
            yield f'{key} is {value!r:.60}; it must be a dict'
    yield from _near_misses(tree, TOP_LEVEL_KEYS, '', _CLOSE_AT_TOP)
    for name, hook in (tree.get('default_hooks') or {}).items():
        if isinstance(hook, Mapping) and 'type' not in hook:
            known = ', '.join(other for other in tree['default_hooks'] if other != name)
            yield f'default_hooks.{name}: has no type; is {name!r} misspelt? Known are {known}'
    yield from _wrong_numbers(tree)
    for key in sorted(TOP_LEVEL_KEYS & set(tree)):
        for path, node in walk(tree[key], key):
            yield from _silent(path, node, scope)


def _wrong_numbers(tree: Mapping) -> Iterator[str]:
    """Wrong numbers that would fail only after an epoch."""
    for name in ('max_epochs', 'max_iters', 'val_interval', 'val_begin'):
        value = (tree.get('train_cfg') or {}).get(name, 1)
        if not isinstance(value, (int, float)) or not value >= 1 or value % 1:
            yield f'train_cfg.{name} is {value!r}; it must be a whole number, at least 1'
    hooks = [node for name in ('default_hooks', 'custom_hooks') for node in walk(tree.get(name), name)]
    for path, hook in hooks:
        for name in ('interval', 'max_keep_ckpts'):
            if not isinstance(hook.get(name, 1), int):  # compared with a number after the first epoch
                yield f'{path}.{name} is {hook[name]!r}; it must be a whole number'


def _silent(path: str, node: Mapping, scope: str) -> Iterator[str]:
    """Misspelt keys of one dict that no constructor reports."""
    last = path.rpartition('.')[2]
    if last == 'nms' and not hasattr(ops, node.get('type', 'nms')):
        yield f'{path}.type is {node["type"]!r}, which mmcv.ops lacks; nms and soft_nms are there'
    if last in _PLAIN_DICTS:
        yield from _near_misses(node, _PLAIN_DICTS[last].split(), path)
    elif 'type' in node:
        for builder in find_builders(node['type'], scope):
            names, takes_any = parameter_names(builder)
            if takes_any:
                yield from _near_misses(node, names | _BUILDER_KEYS, path)
    elif path.startswith('model.') and ('.train_cfg' in path or '.test_cfg' in path):
        yield from _near_misses(node, _MODEL_CFG.split(), path)


def _near_misses(node: Mapping, known: Collection[str], path: str, cutoff: float = _CLOSE) -> Iterator[str]:
    for key in node:
        if not isinstance(key, str) or key in known or key.startswith('_'):
            continue
        close = difflib.get_close_matches(key, known, n=1, cutoff=cutoff)
        if close and not key.endswith(f'_{close[0]}') and not key.startswith(f'{close[0]}_'):
            yield f'unknown key {f"{path}.{key}".lstrip(".")!r}; did you mean {close[0]!r}?'


def find_builders(kind: Any, scope: str = 'mmdet') -> list[Callable]:
    """Every class or function that a ``type`` may mean in a registry; [] for an unknown name.

    Args:
        kind: The value of ``type``: a name, with or without scope, or the class itself.
        scope: The config's default scope.
    """
    if not isinstance(kind, str):
        return [kind] if callable(kind) else []
    prefix, _, name = kind.rpartition('.')
    scopes = (prefix,) if prefix else (scope, 'mmengine')
    roots = [value for value in vars(mmengine_registry).values() if isinstance(value, Registry)]
    found = [registry.module_dict[name] for root in roots for registry in _tree(root)
             if registry.scope in scopes and name in registry.module_dict]
    return list(dict.fromkeys(found))


def _tree(registry: Registry) -> Iterator[Registry]:
    registry.import_from_location()
    yield registry
    for child in list(registry.children.values()):
        yield from _tree(child)


@functools.cache
def parameter_names(builder: Callable) -> tuple[frozenset[str], bool]:
    """The parameters of a function, or of the constructors of a class and its parents; and whether it takes others."""
    made = [cls.__dict__['__init__'] for cls in builder.__mro__[:-1] if '__init__' in cls.__dict__] if inspect.isclass(
        builder) else [builder]
    names: set[str] = set()
    takes_any = False
    for function in made:
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):  # written in C
            continue
        names |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        takes_any |= function is made[0] and any(p.kind is p.VAR_KEYWORD for p in parameters)
    return frozenset(names), takes_any
