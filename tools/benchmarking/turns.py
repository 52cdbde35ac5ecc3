"""A training that makes one iteration per line on its standard input and answers with what it took.

``python -m benchmarking.turns ANSWER_FD CONFIG CHECKPOINT EPOCH WORK_DIR [KEY=VALUE ...]``; see ``cost.py``.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from typing import Any, TextIO

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from benchmarking.identity import resolve_config
from mmleuk.engine.launch import build_runner
from mmleuk.errors import UserError


class _Turn:
    """What the two hooks share: the clocks' times, and the memory in use before the first iteration."""

    def __init__(self, ask: TextIO, answer: TextIO) -> None:
        self.ask, self.answer = ask, answer
        self.held_mib = 0.0
        self.wall = self.cpu = 0.0

    def begin(self) -> None:
        """Wait for a line, start the clocks."""
        if not self.ask.readline():
            sys.exit(0)  # whoever asked is gone
        self.held_mib = self.held_mib or held_mib()
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def end(self) -> None:
        """Answer with seconds and memory."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        took = dict(wall_s=time.perf_counter() - self.wall, cpu_s=time.process_time() - self.cpu,
                    peak_mib=peak_mib() - self.held_mib, process_mib=peak_mib())
        self.answer.write(json.dumps(took) + '\n')
        self.answer.flush()


class BeginHook(Hook):
    """First of all hooks before an iteration; sets the epoch that the schedule is asked for."""

    priority = 0

    def __init__(self, turn: _Turn, epoch: int) -> None:
        self.turn, self.epoch = turn, epoch

    def before_train(self, runner: Runner) -> None:
        """Set the epoch, so that hooks switch on what is on then."""
        runner.train_loop._epoch = self.epoch - 1
        runner.train_loop._iter = (self.epoch - 1) * len(runner.train_dataloader)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Wait for the turn."""
        self.turn.begin()


class EndHook(Hook):
    """Last of all hooks after an iteration: averages, teachers and logs are part of the cost."""

    priority = 100

    def __init__(self, turn: _Turn) -> None:
        self.turn = turn

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None,
                         outputs: dict | None = None) -> None:
        """Say what it took."""
        self.turn.end()


def held_mib() -> float:
    """Memory in use now, MiB: the GPU's where there is one, else the process's resident set."""
    if torch.cuda.is_available():
        return torch.cuda.memory_allocated() / 2 ** 20
    with open('/proc/self/statm') as file:
        return int(file.read().split()[1]) * os.sysconf('SC_PAGE_SIZE') / 2 ** 20


def peak_mib() -> float:
    """The largest memory in use so far, MiB."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2 ** 20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2 ** 10  # KiB on Linux


def main(answer: str, config: str, checkpoint: str, epoch: str, work_dir: str, *options: str) -> None:
    """Train turn by turn until standard input ends; answers go to the file descriptor ``answer``."""
    cfg = resolve_config(config, options)
    cfg.merge_from_dict({'work_dir': work_dir, 'load_from': checkpoint, 'train_dataloader.num_workers': 0,
                         'train_dataloader.persistent_workers': False})
    cfg.default_hooks.pop('checkpoint', None)
    cfg.update(val_cfg=None, val_dataloader=None, val_evaluator=None, launcher='none')
    runner = build_runner(cfg, ('train_dataloader',))
    turn = _Turn(sys.stdin, os.fdopen(int(answer), 'w'))
    runner.register_hook(BeginHook(turn, int(epoch)), priority=0)
    runner.register_hook(EndHook(turn), priority=100)
    runner.train()


if __name__ == '__main__':
    try:
        main(*sys.argv[1:])
    except UserError as error:
        sys.exit(f'error: {error}')
