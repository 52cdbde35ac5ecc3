"""Load checkpoints safely: run no code from them, and refuse those that don't fit the model.

If a file holds more than tensors, mmengine silently falls back to plain ``pickle``: a checkpoint from an unknown
source can then run code. Here only tensors, plain values and mmengine's own records are loaded.
"""

from __future__ import annotations

import hashlib
import pickle
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler import OneCycleParamScheduler
from mmengine.runner import checkpoint as mmengine_checkpoint
from mmengine.runner.checkpoint import CheckpointLoader, load_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from mmleuk.errors import UserError
from mmleuk.schema import AttributeSchema

CONVERTER = 'tools/model_converters/convert_yolov5.py'
"""The tool that reads checkpoints of Ultralytics; it is part of a checkout, not of the package."""

MapLocation = str | torch.device | Callable | None

_METHODS = {HistoryBuffer: ('min', 'max', 'current', 'mean'),
            OneCycleParamScheduler: ('_annealing_cos', '_annealing_linear')}
_HASH_IN_NAME = re.compile(r'-[0-9a-f]{8,64}\.')
_WRAPPERS = ('detector.', 'labeller.')
_TRAINING_COUNTS = ('balance.counts', 'bbox_head.learning', 'bbox_head.known')
"""Ends of the names of tensors that only a training uses: what ClassBalance and PositiveUnlabelledYOLOv5Head count."""


def _method(owner: type, name: str) -> Callable:
    """Replace ``getattr``, which mmengine's pickled log buffers and OneCycleLR need only for these methods."""
    if not isinstance(owner, type) or name not in _METHODS.get(owner, ()):
        raise pickle.UnpicklingError(f'GLOBAL builtins.getattr({owner!r}, {name!r})')
    return getattr(owner, name)


def _allowed_globals() -> list:
    """The other allowed contents: mmengine's log buffers, OneCycleLR and numpy numbers."""
    core = getattr(np, '_core', None) or np.core
    dtypes = {type(np.dtype(kind)) for kind in '?bBhHiIlLqQefdSU'}
    return [
        *_METHODS, slice, np.ndarray, np.dtype, core.multiarray.scalar, *dtypes,
        (core.multiarray._reconstruct, 'numpy._core.multiarray._reconstruct'),
        (core.multiarray._reconstruct, 'numpy.core.multiarray._reconstruct'),
        (core.multiarray.scalar, 'numpy._core.multiarray.scalar'),
        (core.multiarray.scalar, 'numpy.core.multiarray.scalar'),
        (_method, 'builtins.getattr'),
    ]


def load_checkpoint_safely(path: str | Path, map_location: MapLocation = 'cpu') -> dict[str, Any]:
    """Read a checkpoint file without running code from it.

    Args:
        path: A local file (``~`` is expanded).
        map_location: As ``torch.load`` takes it.

    Returns:
        The file's dict: ``state_dict``, ``meta``, ``message_hub``, ``optimizer`` ... or a bare state dict.

    Raises:
        UserError: the file is missing or truncated, isn't a checkpoint, or holds code.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise UserError(f'{path}: no such checkpoint; give the path of a .pth file')
    if path.suffix == '.safetensors':
        return _load_safetensors(path, map_location)
    try:
        with torch.serialization.safe_globals(_allowed_globals()):
            checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    except PermissionError as error:
        raise UserError(f'{path}: not readable ({error.strerror}); change its permissions') from error
    except Exception as error:  # text read as a pickle ends in an error of any kind
        raise UserError(_explain(path, error)) from error
    if not isinstance(checkpoint, dict):
        raise UserError(f'{path}: holds a {type(checkpoint).__name__}, not a dict of weights; it is no checkpoint')
    _check_parts(checkpoint, path)
    return checkpoint


def _load_safetensors(path: Path, map_location: MapLocation) -> dict[str, Any]:
    """The file's tensors as ``state_dict``; half precision becomes float32."""
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f'{path}: no file of safetensors ({error}); get it again') from error
    device = map_location if isinstance(map_location, (str, torch.device)) else 'cpu'
    return dict(state_dict={key: (value.float() if value.dtype == torch.float16 else value).to(device)
                            for key, value in tensors.items()})


def _check_parts(checkpoint: dict[str, Any], path: Path) -> None:
    weights = state_dict_of(checkpoint)
    if not isinstance(weights, Mapping) or not all(isinstance(key, str) for key in weights):
        raise UserError(f'{path}: its weights are no dict of names and tensors; it is no checkpoint')
    meta = checkpoint.get('meta') or {}
    if not isinstance(meta, Mapping) or not isinstance(meta.get('dataset_meta') or {}, Mapping):
        raise UserError(f'{path}: its meta is no dict as MMEngine writes it; give the file that the training wrote')


def _explain(path: Path, error: Exception) -> str:
    """Say in one line why ``torch.load`` refused a file."""
    text = str(error)
    if isinstance(error, pickle.UnpicklingError) and 'unsupported' in text.lower():
        culprit = re.search(r'GLOBAL ([\w.]+)', text)
        if culprit and culprit[1].startswith(('models.', 'ultralytics.')):
            return (f'{path}: a checkpoint of Ultralytics ({culprit[1]}); turn it into one of this package with python '
                    f'{CONVERTER} {path} OUT.pth, and use that')
        return (f'{path}: holds code ({culprit[1] if culprit else "pickled objects"}), not only weights; refused, '
                'since loading it would run that code. Ask its author for a file saved from a state_dict')
    if 'TorchScript' in text:
        return f'{path}: a TorchScript program, not weights; give the .pth file that the training wrote'
    if path.stat().st_size == 0 or not zipfile.is_zipfile(path):
        return f'{path}: truncated or no checkpoint (no complete archive); copy or download it again'
    return f'{path}: cannot be read as a checkpoint ({text.splitlines()[0][:160]}); copy or download it again'


def state_dict_of(checkpoint: dict[str, Any]) -> dict[str, Tensor]:
    """Return the weights of a checkpoint, whether bare or under ``state_dict``."""
    return checkpoint['state_dict'] if 'state_dict' in checkpoint else checkpoint


def fit_checkpoint(model: nn.Module, checkpoint: dict[str, Any], path: str | Path, exact: bool = False) -> None:
    """Rename a checkpoint's keys to the model's, in place, and refuse one of another architecture.

    If a module's weights had other names in earlier versions, its ``old_names`` lists them by prefix.
    A plain detector's ``backbone.*`` becomes ``detector.backbone.*`` if the model wraps a detector (AttriDet,
    SparseLabelDetector, or both). For fine-tuning only, the reverse works, too: a plain detector takes the weights of
    a wrapped one, without those of the wrapper. Counts that only a training uses start from zero where the checkpoint
    has none, and are left out where the model has none.

    Args:
        model: The model to load the weights into, not wrapped for distribution.
        checkpoint: As ``load_checkpoint_safely`` returns it.
        path: Named in errors.
        exact: Also refuse missing tensors and those of another shape (testing, resuming). Fine-tuning leaves it off:
            a head for another number of classes then starts with random weights.

    Raises:
        UserError: under half of the model's tensors are in the checkpoint with their shape, a parameter is not finite,
            or ``exact`` is broken.
    """
    loaded, wanted = state_dict_of(checkpoint), model.state_dict()
    _strip_prefix(loaded, 'module.')
    _apply_new_names(loaded, model)
    if hasattr(model, 'detector') or not exact:
        _fit_wrappers(loaded, wanted)
    _fit_counts(loaded, wanted)
    misshapen = [key for key, value in wanted.items() if key in loaded and _shape(loaded[key]) != _shape(value)]
    matched = sum(key in loaded for key in wanted) - len(misshapen)
    if 2 * matched < len(wanted) or not wanted:
        raise UserError(_mismatch(path, loaded, wanted, matched))
    if exact and misshapen:
        key = misshapen[0]
        raise UserError(f'{path}: {len(misshapen)} tensors have another shape than in the model, first {key!r} '
                        f'({_shape(loaded[key])} in the file, {_shape(wanted[key])} in the model): '
                        'another number of classes or width? Use the config it was trained with')
    for key, _ in model.named_parameters():
        if isinstance(value := loaded.get(key), Tensor) and not value.isfinite().all():
            raise UserError(f'{path}: {key!r} holds NaN or infinity, so the model finds nothing: training diverged. '
                            'Take an earlier checkpoint, or train with a smaller learning rate')
    missing = [key for key in wanted if key not in loaded]
    if exact and missing:
        raise UserError(f'{path}: lacks {len(missing)} of the model\'s {len(wanted)} tensors, first {missing[0]!r}; '
                        'they would stay random. Use the config it was trained with')


def check_attributes(model: nn.Module, checkpoint: dict[str, Any], path: str | Path) -> None:
    """Refuse a checkpoint whose attributes differ from those of the model's heads, or have another order.

    The weights of such a checkpoint fit, but the attributes get wrong names. It happens with the copy of a config that
    mmengine writes into a work folder: its dicts are sorted by key.

    Args:
        model: The model to load the weights into; heads have a ``schema``.
        checkpoint: As ``load_checkpoint_safely`` returns it; ``meta.dataset_meta`` may have the attributes.
        path: Named in errors.

    Raises:
        UserError: names both.
    """
    metainfo = (checkpoint.get('meta') or {}).get('dataset_meta') or {}
    attributes = {key.lower(): value for key, value in metainfo.items()}.get('attributes')
    candidates = [getattr(module, 'schema', None) for module in model.modules()]
    schemas = [schema for schema in candidates if isinstance(schema, AttributeSchema)]
    if not attributes or not schemas:
        return
    trained = AttributeSchema.from_dict(attributes).values_by_key
    for schema in schemas:
        if schema.values_by_key != trained:
            raise UserError(f'{path}: was trained on the attributes {trained}, the config has {schema.values_by_key}; '
                            'pass the config it was trained with (the copy that a run leaves in its work folder has '
                            'its dicts sorted by key)')


def check_classes(classes: Sequence[str] | None, checkpoint: dict[str, Any], path: str | Path) -> None:
    """Refuse a checkpoint whose classes differ from those of the data, or have another order.

    The weights fit if the number of classes is the same, but the cells get wrong types.

    Args:
        classes: The data's classes in label order; None if there is no data to compare with.
        checkpoint: As of :func:`check_attributes`; MMDetection writes ``classes`` in either case.
        path: Named in errors.

    Raises:
        UserError: names both.
    """
    metainfo = (checkpoint.get('meta') or {}).get('dataset_meta') or {}
    trained = {key.lower(): value for key, value in metainfo.items()}.get('classes')
    if classes and trained and tuple(classes) != tuple(trained):
        raise UserError(f'{path}: was trained on the classes {", ".join(trained)}, the data has {", ".join(classes)}; '
                        "give the data set's metainfo the classes in the order of training")


def _shape(value: Any) -> tuple[int, ...] | None:
    return tuple(value.shape) if isinstance(value, Tensor) else None


def _strip_prefix(state: dict[str, Tensor], prefix: str) -> None:
    if state and all(key.startswith(prefix) for key in state):
        for key in list(state):
            state[key[len(prefix):]] = state.pop(key)


def _apply_new_names(state: dict[str, Tensor], model: nn.Module) -> None:
    for path, module in model.named_modules():
        start = f'{path}.' if path else ''
        for old, new in getattr(module, 'old_names', {}).items():
            for key in [key for key in state if key.startswith(start + old)]:
                state[start + new + key.removeprefix(start + old)] = state.pop(key)


def _fit_wrappers(state: dict[str, Tensor], wanted: Iterable[str]) -> None:
    """Rename keys that differ from a wanted one only in the number of wrappers around the detector."""
    by_name = {_unwrapped(key): key for key in wanted}
    for key in list(state):
        name = by_name.get(_unwrapped(key))
        if name is not None and name not in state:
            state[name] = state.pop(key)


def _fit_counts(state: dict[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Drop counts of a training that the model doesn't keep, and take the model's own where there are none."""
    for key in [key for key in state if key.endswith(_TRAINING_COUNTS) and key not in wanted]:
        del state[key]
    for key, value in wanted.items():
        if key.endswith(_TRAINING_COUNTS):
            state.setdefault(key, value.clone())


def _unwrapped(key: str) -> str:
    """A tensor's name in the plain detector.

    >>> _unwrapped('detector.detector.backbone.stem'), _unwrapped('detector.labeller.calibration.seen')
    ('backbone.stem', 'calibration.seen')
    """
    while key.startswith(_WRAPPERS):
        key = key.partition('.')[2]
    return key


def _mismatch(path: str | Path, loaded: dict, wanted: dict, matched: int) -> str:
    missing = [key for key in wanted if key not in loaded][:3]
    unexpected = [key for key in loaded if key not in wanted][:3]
    return (f'{path}: a checkpoint of another architecture: only {matched} of the model\'s {len(wanted)} tensors '
            f'match; missing {missing}, unexpected {unexpected}. Use the config it was trained with')


def load_weights(model: nn.Module, path: str | Path, map_location: MapLocation = 'cpu', exact: bool = True) -> dict:
    """Load a checkpoint's weights into a model and return the whole checkpoint (``meta`` names the classes).

    Raises:
        UserError: see ``load_checkpoint_safely`` and ``fit_checkpoint``.
    """
    checkpoint = load_checkpoint_safely(path, map_location)
    fit_checkpoint(model, checkpoint, path, exact=exact)
    load_state_dict(model, state_dict_of(checkpoint), strict=False, logger='current')
    return checkpoint


def load_from_local(path: str, map_location: MapLocation = None) -> dict[str, Any]:
    """Load mmengine's paths without a scheme; see ``load_checkpoint_safely``."""
    return load_checkpoint_safely(path, map_location)


def load_from_http(url: str, map_location: MapLocation = None, **unused: Any) -> dict[str, Any]:
    """Load mmengine's http(s) and torchvision paths: download once into torch hub's cache, then load safely.

    Raises:
        UserError: the download failed, or the file is refused.
    """
    path = _cached(url)
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(path), progress=False)
        except OSError as error:
            raise UserError(f'{url}: cannot be downloaded ({error}); fetch the file and give its path') from error
    return load_checkpoint_safely(path, map_location)


def _cached(url: str) -> Path:
    """The file of an address in torch hub's cache.

    A name with a hash of its file, as PyTorch and OpenMMLab give, is the file's name there. Others, such as
    epoch_12.pth, are on many servers; a hash of the address tells them apart.
    """
    name = PurePosixPath(urlsplit(url).path).name
    if not _HASH_IN_NAME.search(name):
        name = f'{hashlib.sha256(url.encode()).hexdigest()[:16]}_{name}'
    return Path(torch.hub.get_dir()) / 'checkpoints' / name


def refuse_scheme(url: str, map_location: MapLocation = None) -> dict[str, Any]:
    """Refuse mmengine's cloud schemes: they unpickle what they download."""
    raise UserError(f'{url}: checkpoints are read from files and http(s) only; download it and give its path')


def use_safe_loading() -> None:
    """Make mmengine load every checkpoint in this process (also from ``init_cfg``) with the safe loader."""
    CheckpointLoader.register_scheme('', loader=load_from_local, force=True)
    CheckpointLoader.register_scheme(['http://', 'https://'], loader=load_from_http, force=True)
    CheckpointLoader.register_scheme(
        ['pavi://', r'(\S+\:)?s3://', r'(\S+\:)?petrel://'], loader=refuse_scheme, force=True)
    # torchvision:// and openmmlab:// look the address up and then call this name in mmengine's module
    mmengine_checkpoint.load_from_http = load_from_http
