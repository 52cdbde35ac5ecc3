"""What ``mmleuk train`` and ``mmleuk test`` (tools/train.py and tools/test.py) do, with MMDetection's flags."""

from __future__ import annotations

import argparse
import os
import pickle
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmdet.evaluation import DumpDetResults
from mmengine.config import Config, ConfigDict
from mmengine.registry import RUNNERS, init_default_scope
from mmengine.runner import Runner as MMEngineRunner
from mmengine.runner import find_latest_checkpoint

from mmleuk.engine.pseudo_label_hook import require_pseudo_label_hook
from mmleuk.engine.runner import RANKS
from mmleuk.errors import UserError
from mmleuk.utils.checkpoint import use_safe_loading
from mmleuk.utils.command_line import exit_status
from mmleuk.utils.config_file import building, read_config
from mmleuk.utils.files import check_target, ensure_writable, replacing
from mmleuk.utils.launch_arguments import add_test_arguments, add_train_arguments
from mmleuk.utils.lock import FolderLock
from mmleuk.utils.memory import keep_freed_memory

_AMP_WRAPPERS = {
    'OptimWrapper': 'mmleuk.AmpOptimWrapper',
    'AmpOptimWrapper': 'mmleuk.AmpOptimWrapper',
    'mmleuk.AmpOptimWrapper': 'mmleuk.AmpOptimWrapper',
    'mmleuk.YOLOv5OptimWrapper': 'mmleuk.YOLOv5AmpOptimWrapper',
    'mmleuk.YOLOv5AmpOptimWrapper': 'mmleuk.YOLOv5AmpOptimWrapper',
}


def train_main(argv: Sequence[str] | None = None) -> int:
    """Run ``tools/train.py``; return the exit status (2 for bad input)."""
    return run_train(train_parser().parse_args(argv))


def test_main(argv: Sequence[str] | None = None) -> int:
    """Run ``tools/test.py``; return the exit status (2 for bad input)."""
    return run_test(test_parser().parse_args(argv))


test_main.__test__ = False  # type: ignore[attr-defined]  # not for pytest


def run_train(args: argparse.Namespace, name: str = 'error') -> int:
    """Train with parsed arguments; return the exit status. ``name`` is printed before a user's error."""
    return _start(train, args, name, 'interrupted; with --resume the same command goes on from the last finished epoch')


def run_test(args: argparse.Namespace, name: str = 'error') -> int:
    """Test with parsed arguments; return the exit status. ``name`` is printed before a user's error."""
    return _start(test, args, name)


def _start(run: Callable[[argparse.Namespace], object], args: argparse.Namespace, name: str,
           interrupted: str = 'interrupted') -> int:
    """Set the process up and run."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    keep_freed_memory()
    return exit_status(run, args, name, interrupted)


def train_parser() -> argparse.ArgumentParser:
    """Return the parser of ``tools/train.py``."""
    parser = argparse.ArgumentParser(description='Train a detector')
    add_train_arguments(parser)
    return parser


def test_parser() -> argparse.ArgumentParser:
    """Return the parser of ``tools/test.py``."""
    parser = argparse.ArgumentParser(description='Test (and evaluate) a detector')
    add_test_arguments(parser)
    return parser


def train(args: argparse.Namespace) -> MMEngineRunner:
    """Train with these flags and log where the checkpoints are; see :func:`add_train_arguments`.

    Raises:
        UserError: bad config, data, checkpoint or work dir.
    """
    cfg = load_config(args, ('train_dataloader', 'train_cfg', 'optim_wrapper'))
    if args.amp:
        switch_to_amp(cfg)
    if args.tensorboard:
        log_for_tensorboard(cfg)
    if args.auto_scale_lr:
        if not {'enable', 'base_batch_size'} <= set(cfg.get('auto_scale_lr') or {}):
            raise UserError(f'{args.config}: --auto-scale-lr needs auto_scale_lr = dict(enable=False, '
                            "base_batch_size=N) in the config; YOLOv5's schedule has none: it sums gradients up to 64 "
                            'images')
        cfg.auto_scale_lr.enable = True
    if args.resume == 'auto':
        cfg.resume = find_latest_checkpoint(cfg.work_dir) is not None
        if cfg.resume:
            cfg.load_from = None  # the runner then takes the last one in the work dir
    elif args.resume is not None:
        cfg.resume, cfg.load_from = True, args.resume
    rank = int(os.environ.get(RANKS[args.launcher][0], 0)) if args.launcher in RANKS else 0
    with FolderLock(cfg.work_dir, what='training') if rank == 0 else nullcontext():
        runner = build_runner(cfg, ('train_dataloader', 'val_dataloader'))
        if args.resume == 'auto' and not cfg.resume:
            runner.logger.info(f'{cfg.work_dir} holds no checkpoint to resume from: the training starts at its first '
                               f'epoch, from {cfg.get("load_from") or "random weights"}')
        require_pseudo_label_hook(runner)
        runner.train()
    _print_summary(runner)
    return runner


def test(args: argparse.Namespace) -> dict:
    """Test with these flags and return the scores. See :func:`add_test_arguments`.

    Raises:
        UserError: bad config, data, checkpoint or work dir, or a target that cannot be written.
    """
    from mmdet.engine.hooks.utils import trigger_visualization_hook
    if args.out is not None and not args.out.endswith(('.pkl', '.pickle')):
        raise UserError(f'--out {args.out}: predictions are written as a pickle; name a .pkl file')
    if args.wait_time is not None and not args.show:
        raise UserError('--wait-time is for the window of --show; leave it out, or add --show')
    args.wait_time = 2 if args.wait_time is None else args.wait_time
    cfg = load_config(args, ('test_dataloader', 'test_cfg'))
    if args.out is not None:
        check_target(args.out)
    cfg.load_from, cfg.resume = args.checkpoint, False
    if args.show or args.show_dir:
        if 'visualization' not in cfg.default_hooks:
            raise UserError(f'{args.config}: --show needs default_hooks.visualization=dict('
                            'type=\'DetVisualizationHook\')')
        if args.show_dir:
            check_target(Path(cfg.work_dir) / args.show_dir / 'picture.png')
        cfg = trigger_visualization_hook(cfg, args)
    if args.tta:
        switch_to_tta(cfg)
    runner = build_runner(cfg, ('test_dataloader',))
    if args.out is not None:
        runner.test_evaluator.metrics.append(DumpPredictions(out_file_path=args.out))
    return runner.test()


test.__test__ = False  # type: ignore[attr-defined]  # not for pytest


class DumpPredictions(DumpDetResults):
    """MMDetection's metric that saves predictions as a pickle; the file appears whole or not at all."""

    def compute_metrics(self, results: list) -> dict:
        """Write; there is nothing to score."""
        with replacing(self.out_file_path) as temporary:
            temporary.write_bytes(pickle.dumps(results))
        return {}


def load_config(args: argparse.Namespace, needed: Sequence[str]) -> Config:
    """Read the config, apply ``--cfg-options`` and ``--work-dir``, and check every key and the work dir.

    Raises:
        UserError: the file is missing or broken, a key is misspelt, the model or one of the ``needed`` parts is
            missing, or the work dir is not writable.
    """
    cfg = read_config(args.config, args.cfg_options, ('model', *needed))
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / Path(args.config).stem)
    ensure_writable(cfg.work_dir)
    return cfg


def switch_to_amp(cfg: Config) -> None:
    """Put the mixed-precision form of the optimiser wrapper in the config's.

    Raises:
        UserError: there is none for the config's wrapper.
    """
    name = cfg.optim_wrapper.get('type', 'OptimWrapper')
    if name not in _AMP_WRAPPERS:
        raise UserError(f'--amp: no mixed-precision form of optim_wrapper.type={name!r}; use one of '
                        f'{sorted(_AMP_WRAPPERS)}')
    cfg.optim_wrapper.type = _AMP_WRAPPERS[name]
    cfg.optim_wrapper.loss_scale = 'dynamic'


def log_for_tensorboard(cfg: Config) -> None:
    """Log for TensorBoard beside what the config's visualizer logs for.

    Raises:
        UserError: TensorBoard isn't installed.
    """
    if find_spec('tensorboard') is None:
        raise UserError("--tensorboard needs the package tensorboard: pip install 'mmleuk[tensorboard]'")
    local = dict(type='LocalVisBackend')
    if cfg.get('visualizer') is None:
        cfg.visualizer = dict(type='DetLocalVisualizer', name='visualizer')
    backends = list(cfg.visualizer.get('vis_backends') or [local])
    if not any(backend['type'] == 'TensorboardVisBackend' for backend in backends):
        backends.append(dict(type='TensorboardVisBackend'))
    cfg.visualizer.vis_backends = backends


def switch_to_tta(cfg: Config) -> None:
    """Wrap model and pipeline for test-time augmentation: the config's ``tta_*``, or a flip as MMDetection's tool."""
    if 'tta_model' not in cfg:
        cfg.tta_model = dict(
            type='mmleuk.CellTTAModel', tta_cfg=dict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=100))
    dataset = cfg.test_dataloader.dataset
    while 'dataset' in dataset:
        dataset = dataset['dataset']
    if 'tta_pipeline' not in cfg:
        flips = [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)]  # metrics get the first's truth
        pack = deepcopy(dataset.pipeline[-1])
        if pack['type'] != 'mmleuk.PackCells':  # its keys include the flip
            pack = dict(type='PackDetInputs', meta_keys=(
                'img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip', 'flip_direction'))
        cfg.tta_pipeline = [*deepcopy(dataset.pipeline[:-1]), dict(type='TestTimeAug', transforms=[flips, [pack]])]
    cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)
    dataset.pipeline = cfg.tta_pipeline


def build_runner(cfg: Config, loaders: Sequence[str]) -> MMEngineRunner:
    """Check the data behind the named loaders, then build the runner (``runner_type``, or ours) with these data sets.

    Raises:
        UserError: bad data, or a part of the config that cannot be built.
    """
    use_safe_loading()
    init_default_scope(cfg.get('default_scope') or 'mmdet')
    with building(cfg):
        datasets, warnings = check_data(cfg, loaders)
        cfg.setdefault('runner_type', 'mmleuk.Runner')
        runner = RUNNERS.build(cfg)
    for loader, dataset in datasets.items():  # avoids reading a large annotation file twice
        setattr(runner, f'_{loader}', {**getattr(runner, f'_{loader}'), 'dataset': dataset})
    for text in warnings:
        runner.logger.warning(text)  # not earlier: the work dir's log starts with the runner
    return runner


def check_data(cfg: Config, loaders: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Build each data set, so broken data is found before anything is written, and compare it with the model.

    Returns:
        The data sets by loader, and warnings.

    Raises:
        UserError: see the data set; a transform doesn't move the regions; or the model has another number of classes,
            or other attributes, than the data.
    """
    from mmdet.registry import DATASETS

    from mmleuk.datasets.check import check_head_attributes, check_ignored, check_num_classes, check_sparse
    from mmleuk.schema import AttributeSchema
    datasets: dict[str, Any] = {}
    warnings = []
    for loader in loaders:
        dataset_cfg = (cfg.get(loader) or {}).get('dataset')
        if not isinstance(dataset_cfg, dict):
            continue
        dataset = datasets[loader] = DATASETS.build(deepcopy(dataset_cfg))
        if hasattr(dataset, 'full_init'):
            dataset.full_init()
        if len(dataset) == 0:
            raise UserError(f'{loader}: the data set is empty after filtering; look at ann_file and filter_cfg')
        check_part_masks(dataset)
        training, metainfo = loader == 'train_dataloader', getattr(dataset, 'metainfo', {})
        if metainfo.get('classes'):
            check_num_classes(cfg, metainfo['classes'])
        check_head_attributes(cfg, AttributeSchema.from_dict(metainfo.get('attributes') or {}), training=training)
        found = check_sparse(cfg, dataset, training=training) + (check_ignored(cfg, dataset) if training else [])
        warnings += [f'{loader}: {text}' for text in found]
    return datasets, warnings


def check_part_masks(dataset: Any) -> None:
    """Check the masks that a data set's pipeline will load, if any, on all its records.

    Raises:
        UserError: a mask is missing, or has another size than its image.
    """
    from mmleuk.transforms import LoadPartMask
    for transform in getattr(getattr(dataset, 'pipeline', None), 'transforms', ()):
        if isinstance(transform, LoadPartMask):
            transform.check(dataset.get_data_info(index) for index in range(len(dataset)))


def _print_summary(runner: MMEngineRunner) -> None:
    """Log where the results are."""
    if runner.rank != 0:
        return
    info = runner.message_hub.runtime_info
    last = [('last checkpoint', info['last_ckpt'])] if 'last_ckpt' in info else []
    best = [('best checkpoint', path) for key, path in info.items() if key.startswith('best_ckpt')]
    for name, path in [*last, *best, ('log and config', runner.work_dir)]:
        runner.logger.info(f'{name}: {path}')
