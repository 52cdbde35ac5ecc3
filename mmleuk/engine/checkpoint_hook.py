"""Checkpoints that survive a kill and a full disk."""

from __future__ import annotations

import difflib
import os
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mmdet.evaluation import CocoMetric
from mmengine.dist import is_main_process, master_only
from mmengine.evaluator import BaseMetric
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook as MMEngineCheckpointHook
from mmengine.runner import Runner

from mmleuk.errors import UserError
from mmleuk.registry import HOOKS
from mmleuk.utils.files import replacing, write_atomic

_LEFTOVERS = ('.*.part.pth', '.last_checkpoint.*.part', '*.unfinished')  # the last one is of earlier versions


@HOOKS.register_module()
class CheckpointHook(MMEngineCheckpointHook):
    """mmengine's hook, but an old file is deleted only after its successor is complete on the disk.

    mmengine deletes the old checkpoint first and then writes straight to the final name: a kill or a full disk in
    between leaves nothing. Here each file is written under another name and renamed when it is complete
    (:func:`mmleuk.utils.files.replacing`), then ``last_checkpoint`` is updated in the same way. Only then are files
    deleted that ``max_keep_ckpts`` or a better score makes unnecessary.

    Args: as mmengine's. Folders that are not local (``s3://``) are written by mmengine's hook.

    Raises:
        UserError: before training, ``save_best`` names a score that no metric returns; later, the file cannot be
            written (disk full, quota, permissions): the last good one stays.

    Example config: ``default_hooks = dict(checkpoint=dict(type='mmleuk.CheckpointHook', interval=1,
    max_keep_ckpts=2, save_best='coco/bbox_mAP_50'))``; scores of attributes need no ``rule``.
    """

    _default_greater_keys = [*MMEngineCheckpointHook._default_greater_keys, 'attribute', 'f1']

    def before_train(self, runner: Runner) -> None:
        """Find the folder, check ``save_best``, and delete incomplete files of a killed run."""
        super().before_train(runner)
        if self.save_best:
            if runner.val_loop is None:
                raise UserError('default_hooks.checkpoint.save_best needs a validation, and the config has none; leave '
                                'save_best out, or set val_dataloader, val_cfg and val_evaluator')
            for key in set(self.key_indicators) - {'auto'}:
                check_score_name(key, runner.val_loop.evaluator.metrics)
        self._keep_ids = list(getattr(self, 'keep_ckpt_ids', ()))
        if self._is_local() and is_main_process():
            for leftover in [path for pattern in _LEFTOVERS for path in Path(self.out_dir).glob(pattern)]:
                leftover.unlink()

    def _is_local(self) -> bool:
        return isinstance(self.file_backend, LocalBackend)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        if not self._is_local():
            super()._save_checkpoint_with_step(runner, step, meta)
            return
        path = os.path.join(self.out_dir, self.filename_tmpl.format(step))
        keep = [*(kept for kept in self._keep_ids if kept != step), step]
        runner.message_hub.update_info('last_ckpt', path)
        if self.max_keep_ckpts > 0:
            # includes outdated files: if this run is killed before it deletes them, the next run does
            runner.message_hub.update_info('keep_ckpt_ids', keep)
        self._write(
            runner, path, by_epoch=self.by_epoch, meta=meta, save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler and runner.param_schedulers is not None, **self.args)
        self.last_ckpt = path
        self._point_at(path, Path(runner.work_dir) / 'last_checkpoint')
        self._keep_ids = keep[-self.max_keep_ckpts:] if self.max_keep_ckpts > 0 else keep
        if self.max_keep_ckpts > 0:
            self.keep_ckpt_ids = deque(self._keep_ids, self.max_keep_ckpts)
            runner.message_hub.update_info('keep_ckpt_ids', self._keep_ids)
            self._delete(self.filename_tmpl.format(old) for old in keep[:-self.max_keep_ckpts])

    def _save_best_checkpoint(self, runner: Runner, metrics: dict[str, Any]) -> None:
        if not self._is_local() or not self.save_best:
            super()._save_best_checkpoint(runner, metrics)
            return
        if 'auto' in self.key_indicators:
            self._init_rule(self.rules, [next(iter(metrics))])
        step = runner.epoch if self.by_epoch else runner.iter
        meta = {'epoch': runner.epoch, 'iter': runner.iter}
        improved = [self._save_if_best(runner, metrics, key, rule, step, dict(meta))
                    for key, rule in zip(self.key_indicators, self.rules)]
        if any(improved) and self.last_ckpt is not None:
            # save again, so a resumed run knows the best score
            self._save_checkpoint_with_step(runner, step, meta)

    def _save_if_best(
            self, runner: Runner, metrics: dict[str, Any], key: str, rule: str, step: int, meta: dict) -> bool:
        """Save ``best_KEY_*.pth`` if the score is the best so far; return whether it is."""
        if key not in metrics:
            raise UserError(f'save_best names {key!r}, which the evaluation did not return; it has {sorted(metrics)}')
        suffix = '' if len(self.key_indicators) == 1 else f'_{key}'
        hub = runner.message_hub
        record = hub.runtime_info.get(f'best_score{suffix}', self.init_value_map[rule])
        score, outdated = metrics[key], hub.runtime_info.get(f'best_ckpt{suffix}')
        if score is None or not self.is_better_than[key](score, record):
            return False
        name = f'best_{key}_{self.filename_tmpl.format(step)}'.replace('/', '_')
        path = os.path.join(self.out_dir, name)
        hub.update_info(f'best_score{suffix}', score)
        hub.update_info(f'best_ckpt{suffix}', path)
        self._write(
            runner, path, by_epoch=False, meta=meta, save_optimizer=False, save_param_scheduler=False)
        if suffix:
            self.best_ckpt_path_dict[key] = path
        else:
            self.best_ckpt_path = path
        if outdated and os.path.basename(outdated) != name:
            self._delete([os.path.basename(outdated)])
        runner.logger.info(f'Best {key} so far: {score:0.4f}, saved as {path}')
        return True

    @master_only
    def _write(self, runner: Runner, path: str, **options: Any) -> None:
        """Let the runner write ``path``, whole or not at all."""
        try:
            with replacing(path) as temporary:
                runner.save_checkpoint(
                    str(temporary.parent), temporary.name, backend_args=self.backend_args, **options)
        except UserError as error:
            stays = f'the last good checkpoint is {self.last_ckpt}' if self.last_ckpt else 'there is no earlier one'
            raise UserError(f'{error}; {stays}; then --resume') from error

    @master_only
    def _point_at(self, path: str, pointer: Path) -> None:
        try:
            write_atomic(pointer, path)
        except UserError as error:
            raise UserError(f'{error}; then go on with --resume {path}') from error

    @master_only
    def _delete(self, names: Iterable[str]) -> None:
        for name in names:
            (Path(self.out_dir) / name).unlink(missing_ok=True)


def check_score_name(key: str, metrics: Iterable[BaseMetric]) -> None:
    """Refuse a name of ``save_best`` that no metric returns.

    Names are known for COCO's metric and for metrics with ``score_names``; for others only the prefix is known.

    Raises:
        UserError: the message has the nearest known name.
    """
    known: list[str] = []
    for metric in metrics:
        prefix = f'{metric.prefix}/' if metric.prefix else ''
        names = _score_names(metric)
        if names is None and key.startswith(prefix):
            return
        known += [prefix + name for name in names or ()]
    if key not in known:
        close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        hint = f'did you mean {close[0]!r}?' if close else f'known are {", ".join(known)}'
        raise UserError(f'default_hooks.checkpoint.save_best is {key!r}, a score that no metric of val_evaluator '
                        f'returns; {hint}')


def _score_names(metric: BaseMetric) -> list[str] | None:
    """Names of a metric's scores; None if they aren't known in advance."""
    if isinstance(metric, CocoMetric):
        if not set(metric.metrics) <= {'bbox', 'segm'}:
            return None
        items = metric.metric_items or ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')
        classes = (metric.dataset_meta or {}).get('classes', ()) if metric.classwise else ()
        return [*(f'{kind}_{item}' for kind in metric.metrics for item in items),
                *(f'{name}_precision' for name in classes)]
    return getattr(metric, 'score_names', None)
