"""mmengine's runner, for CPUs, safe checkpoints and errors in one line."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.distributed as torch_dist
from mmengine.device import get_device
from mmengine.dist import is_distributed
from mmengine.model import BaseTTAModel, MMDistributedDataParallel, is_model_wrapper, revert_sync_batchnorm
from mmengine.runner import Runner as MMEngineRunner
from mmengine.runner.checkpoint import _load_checkpoint_to_model
from torch import nn

from mmleuk.errors import UserError
from mmleuk.registry import RUNNERS
from mmleuk.utils.checkpoint import (
    check_attributes,
    check_classes,
    fit_checkpoint,
    load_checkpoint_safely,
    load_from_http,
)
from mmleuk.utils.config_file import building
from mmleuk.utils.files import check_target

RANKS = {'pytorch': ('RANK', 'WORLD_SIZE'), 'slurm': ('SLURM_PROCID', 'SLURM_NTASKS'),
         'mpi': ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE')}
"""The environment variables in which each launcher gives a process's rank and the number of processes."""


@RUNNERS.register_module()
class Runner(MMEngineRunner):
    """mmengine's ``Runner`` with four differences.

    - Several processes without a GPU communicate over gloo (mmengine uses CUDA and sets device ids).
    - Checkpoints load without running code from them, and only where they fit (``mmleuk.utils.checkpoint``).
    - Resuming needs a checkpoint with training state, and says so.
    - A config value that fails in building, and a metric's ``outfile_prefix`` that can't be written, raise a
      :class:`~mmleuk.errors.UserError` before the run.

    ``tools/train.py`` and ``tools/test.py`` use it unless a config names another ``runner_type``.
    """

    def setup_env(self, env_cfg: dict) -> None:
        """Join the other processes over gloo where there is no GPU; all else as mmengine."""
        if self.distributed and not is_distributed() and not torch.cuda.is_available():
            join_over_gloo(self.launcher, env_cfg.get('dist_cfg', {}).get('timeout'))
        super().setup_env(env_cfg)

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Wrap for several processes; on CPU without device ids and without SyncBatchNorm, which needs a GPU."""
        if not self.distributed or get_device() != 'cpu' or is_model_wrapper(model) or model_wrapper_cfg is not None:
            return super().wrap_model(model_wrapper_cfg, model)
        return MMDistributedDataParallel(
            module=revert_sync_batchnorm(model),
            broadcast_buffers=False,
            find_unused_parameters=self.cfg.get('find_unused_parameters', False))

    def build_train_loop(self, loop: Any) -> Any:
        """As mmengine's; see the class."""
        with building(self.cfg):
            return super().build_train_loop(loop)

    def build_val_loop(self, loop: Any) -> Any:
        """As mmengine's; see the class."""
        with building(self.cfg):
            return super().build_val_loop(loop)

    def build_test_loop(self, loop: Any) -> Any:
        """As mmengine's; see the class."""
        with building(self.cfg):
            return super().build_test_loop(loop)

    def build_evaluator(self, evaluator: Any) -> Any:
        """As mmengine's; see the class."""
        with building(self.cfg):
            built = super().build_evaluator(evaluator)
        for metric in built.metrics:
            if getattr(metric, 'outfile_prefix', None):
                check_target(f'{metric.outfile_prefix}.bbox.json')
        return built

    def build_optim_wrapper(self, optim_wrapper: Any) -> Any:
        """As mmengine's; see the class."""
        with building(self.cfg):
            return super().build_optim_wrapper(optim_wrapper)

    def build_param_scheduler(self, scheduler: Any) -> Any:
        """As mmengine's; see the class."""
        with building(self.cfg):
            return super().build_param_scheduler(scheduler)

    def test(self) -> dict:
        """Test. A tensor of another shape is an error here; fine-tuning initialises it instead."""
        self._exact_shapes = True
        return super().test()

    def load_checkpoint(self, filename: str, map_location: str | Callable = 'cpu', strict: bool = False,
                        revise_keys: list | None = None) -> dict[str, Any]:
        """Load weights from a file or http(s) address.

        Raises:
            UserError: the file is missing, truncated, holds code or is of another architecture; in testing and resuming
                also if its attributes or classes are others, or in another order.
        """
        load = load_from_http if filename.startswith(('http://', 'https://')) else load_checkpoint_safely
        checkpoint = load(filename, map_location)
        if 'state_dict' not in checkpoint:
            checkpoint = {'state_dict': checkpoint}
        wrapped = is_model_wrapper(self.model) or isinstance(self.model, BaseTTAModel)
        model = self.model.module if wrapped else self.model
        exact = self._resume or getattr(self, '_exact_shapes', False)
        fit_checkpoint(model, checkpoint, filename, exact=exact)
        if exact:  # fine-tuning may learn other classes and attributes
            check_attributes(model, checkpoint, filename)
            check_classes(classes_of_data(self), checkpoint, filename)
        self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        revise_keys = revise_keys or [(r'^module\.', '')]
        checkpoint = _load_checkpoint_to_model(model, checkpoint, strict, revise_keys=revise_keys)
        self._has_loaded = True
        self.logger.info(f'Load checkpoint from {filename}')
        return checkpoint

    def resume(self, filename: str, *args: Any, **kwargs: Any) -> None:
        """Continue from the end of the epoch in which a checkpoint was saved.

        Raises:
            UserError: as ``load_checkpoint``, or the file holds weights without training state.
        """
        try:
            super().resume(filename, *args, **kwargs)
        except KeyError as error:
            if error.args[0] not in ('meta', 'epoch', 'iter', 'message_hub'):
                raise
            raise UserError(f'{filename}: has weights but no training state ({error} is missing); start from its '
                            f'weights with --cfg-options load_from={filename} instead of --resume') from error


def join_over_gloo(launcher: str, timeout_s: float | None = None) -> None:
    """Start torch.distributed on CPUs.

    Args:
        launcher: 'pytorch' (torchrun set RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT), 'slurm' or 'mpi'
            (Open MPI); the latter two need MASTER_ADDR.
        timeout_s: How long to wait for the others, in seconds.

    Raises:
        UserError: the launcher's environment variables are missing.
    """
    names = RANKS[launcher]
    missing = [name for name in (*names, 'MASTER_ADDR') if name not in os.environ]
    if missing:
        raise UserError(f'--launcher {launcher}: the environment lacks {", ".join(missing)}; start with torchrun, '
                        'srun or mpirun, or leave --launcher out')
    os.environ['RANK'], os.environ['WORLD_SIZE'] = (os.environ[name] for name in names)
    os.environ.setdefault('MASTER_PORT', '29500')
    options: dict[str, Any] = {} if timeout_s is None else {'timeout': datetime.timedelta(seconds=timeout_s)}
    torch_dist.init_process_group('gloo', **options)


def classes_of_data(runner: MMEngineRunner) -> Sequence[str] | None:
    """Classes of the data that the runner trains or tests on; None as long as no loop has been built."""
    for loop in (runner._train_loop, runner._test_loop):
        metainfo = getattr(getattr(getattr(loop, 'dataloader', None), 'dataset', None), 'metainfo', None)
        if metainfo:
            return metainfo.get('classes')
    return None
