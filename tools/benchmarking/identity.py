"""What makes two trainings the same: the resolved config and the annotations it reads, masks among them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

from mmengine.config import Config

from benchmarking.machine import ROOT
from benchmarking.suite import Case
from mmleuk.datasets.converters.coco_files import SIDE_FILE
from mmleuk.datasets.converters.voc import VocFormat
from mmleuk.datasets.release import find_files
from mmleuk.datasets.subsets import get_subset
from mmleuk.engine.launch import train_parser
from mmleuk.errors import UserError
from mmleuk.utils.config_file import read_config
from mmleuk.utils.config_tree import walk
from mmleuk.utils.image_files import files_below

DATA_VARIABLE = 'MMLEUK_DATA'
_NO_RESULT = ('test_dataloader', 'test_evaluator', 'test_cfg', 'tta_model', 'tta_pipeline', 'visualizer',
              'vis_backends', 'log_processor', 'log_level', 'env_cfg', 'work_dir', 'launcher', 'resume',
              'auto_scale_lr', 'find_unused_parameters', 'num_classes', 'image_size')
_NO_RESULT_HOOKS = ('timer', 'logger', 'checkpoint', 'visualization')
_SAME_TYPES = {'mmleuk.MultiImageMixDataset': 'MultiImageMixDataset'}
"""Types with the same results to the last bit, so that trainings before the switch still count."""
_NO_RESULT_KEYS = frozenset({'num_workers', 'persistent_workers', 'prefetch_factor', 'pin_memory'})


def resolve_config(config: str | Path, cfg_options: Sequence[str] = ()) -> Config:
    """The config as ``tools/train.py CONFIG --cfg-options ...`` trains it.

    Raises:
        UserError: the file is missing or is no config.
    """
    args = train_parser().parse_args([str(config), *(['--cfg-options', *cfg_options] if cfg_options else [])])
    return read_config(args.config, args.cfg_options)


def config_hash(config: str | Path, cfg_options: Sequence[str] = ()) -> str:
    """SHA-256 of what decides a training's result, wherever the data lie and however many workers load them.

    Settings of logging, pictures, checkpoints and testing are left out.

    Raises:
        UserError: as :func:`resolve_config`.
    """
    with _variable(DATA_VARIABLE, 'data'):
        settings = deepcopy(resolve_config(config, cfg_options).to_dict())
    for key in _NO_RESULT:
        settings.pop(key, None)
    for name in _NO_RESULT_HOOKS:
        settings.get('default_hooks', {}).pop(name, None)
    return _text_hash(json.dumps(_without(settings, _NO_RESULT_KEYS), sort_keys=True, default=str))


def identity(case: Case) -> dict[str, Any]:
    """What a training is: a result counts as long as this is the same.

    Raises:
        UserError: the config or the data cannot be read.
    """
    return dict(config=case.row.config, seed=case.seed, config_hash=case_hash(case), data_hash=_case_data(case))


def case_hash(case: Case) -> str:
    """:func:`config_hash` of a training, with those of the trainings it reads; else its members', with its command's.

    Raises:
        UserError: as :func:`resolve_config`.
    """
    if case.row.measured:
        own = [_text_hash(case.row.measured.model_dump_json())]
    else:
        own = [] if case.members else [config_hash(ROOT / case.row.config, case.cfg_options())]
    return _together([*own, *map(case_hash, [*case.members, *case.sources])])


def _case_data(case: Case) -> str:
    own = [] if case.members else [data_hash(resolve_config(ROOT / case.row.config, case.cfg_options()))]
    return _together([*own, *map(_case_data, [*case.members, *case.sources])])


def _together(hashes: Sequence[str]) -> str:
    """One hash of several; one alone stays as it is."""
    return hashes[0] if len(hashes) == 1 else _text_hash(' '.join(hashes))


def _text_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def data_hash(cfg: Config) -> str:
    """SHA-256 of the contents of all that :func:`annotation_files` lists.

    Raises:
        UserError: one of them cannot be read.
    """
    return files_hash(annotation_files(cfg))


def files_hash(paths: Iterable[Path]) -> str:
    """SHA-256 of the contents of files, in the order given; of a folder, of the names and contents of its images.

    Raises:
        UserError: one of them cannot be read.
    """
    digest = hashlib.sha256()
    for path in paths:
        try:
            digest.update(_folder_hash(path) if path.is_dir() else hashlib.sha256(path.read_bytes()).digest())
        except OSError as error:
            raise UserError(f'{path}: cannot be read ({error.strerror or error}); set {DATA_VARIABLE} to the folder '
                            'of the data') from error
    return digest.hexdigest()


def _folder_hash(folder: Path) -> bytes:
    digest = hashlib.sha256()
    for path in files_below(folder):
        digest.update(path.relative_to(folder).as_posix().encode() + b'\0')
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.digest()


def annotation_files(cfg: Config) -> list[Path]:
    """The files that training and validation read annotations from, each once, training first.

    Folders stand for all images in them: those of masks, and where no file lists the images, theirs, too.
    """
    parts = [cfg.get(key) for key in ('train_dataloader', 'val_dataloader', 'val_evaluator')]
    return list(dict.fromkeys(path for part in parts for path in _annotation_files(part)))


def _annotation_files(part: Any) -> Iterator[Path]:
    for _, node in walk(part):
        if node.get('type') == 'mmleuk.VOCCellsDataset':  # its ann_file is a list of names
            folder = Path(node['data_root'])
            yield from sorted([*(folder / VocFormat.folder).rglob('*.xml'), *folder.glob(SIDE_FILE)])
        root = Path(node.get('data_root') or '')
        if node.get('ann_file'):
            yield Path(os.path.normpath(root / node['ann_file']))
        elif node.get('subset'):
            yield Path(find_files(str(root), get_subset(node['subset']), node.get('split', 'train'))[0])
        elif 'data_root' in node:
            folders = (node.get('data_prefix') or {'img': ''}).values()
            yield from (Path(os.path.normpath(root / folder)) for folder in folders)
        elif node.get('type') == 'mmleuk.LoadPartMask' and node.get('folder'):
            yield Path(os.path.normpath(node['folder']))


def _without(value: Any, keys: frozenset[str]) -> Any:
    if isinstance(value, Mapping):
        kept = {key: _without(item, keys) for key, item in value.items() if key not in keys}
        return kept | {'type': _SAME_TYPES[kept['type']]} if kept.get('type') in _SAME_TYPES else kept
    if isinstance(value, (list, tuple)):
        return [_without(item, keys) for item in value]
    return value


@contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
