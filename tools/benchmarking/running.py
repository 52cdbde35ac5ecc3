"""A training in a process of its own, which resumes where its last attempt stopped."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarking.history import read_history
from benchmarking.identity import DATA_VARIABLE, resolve_config
from benchmarking.machine import ROOT, describe_machine, git_state
from benchmarking.results import (
    DONE,
    FAILED,
    FORMAT,
    count_parameters,
    outcome,
    read_result,
    result_path,
    write_result,
)
from benchmarking.suite import Case
from mmleuk.errors import UserError
from mmleuk.utils.files import write_atomic
from mmleuk.utils.lock import FolderLock

_PATIENCE_S = 15.0
_LOG_LINES = 30


@dataclass(frozen=True)
class Settings:
    """How to run; none of it changes a result.

    Attributes:
        work_dir: one folder per training lies under it, ``<suite>/<row>_seed<k>``.
        results: JSONs lie under it.
        jobs: trainings at a time.
        threads: of each.
        workers: processes that load data for each; 0 loads in the training's own.
        renew: start again what was started, or done, with another config or other data.
    """

    work_dir: Path
    results: Path
    jobs: int = 2
    threads: int = 1
    workers: int = 0
    renew: bool = False

    def folder(self, case: Case) -> Path:
        """The training's work dir."""
        return self.work_dir / case.suite / case.name


def environment(threads: int) -> dict[str, str]:
    """Environment of a training's process: this checkout's package and tools come first, ``threads`` threads."""
    path = os.pathsep.join([str(ROOT), str(ROOT / 'tools'), *filter(None, [os.environ.get('PYTHONPATH')])])
    return {**os.environ, 'OMP_NUM_THREADS': str(threads), 'MKL_NUM_THREADS': str(threads), 'PYTHONPATH': path,
            'PYTHONUNBUFFERED': '1'}


def state_of(case: Case, settings: Settings, now: dict[str, Any]) -> str:
    """The state of a training: ``done``, ``failed``, ``started``, ``to run``, or ``changed`` since it was run."""
    record = read_result(result_path(settings.results, case))
    started = started_with(settings.folder(case))
    known = record if record and record['status'] == DONE else started
    if known is not None and any(known.get(key) != value for key, value in now.items()):
        return 'changed'
    if record is not None:
        return record['status']
    return 'to run' if started is None else 'started'


def started_with(folder: Path) -> dict[str, Any] | None:
    """The identity that an earlier attempt noted in its work dir."""
    path = folder / 'started.json'
    return json.loads(path.read_text()) if path.is_file() else None


def check_checkpoints(paths: Sequence[Path], settings: Settings) -> None:
    """Raise a UserError when one isn't there: the record of the training that wrote it may come from elsewhere."""
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise UserError(f'{missing[0]}: no such checkpoint; to train its row here, take its record out of '
                        f'{settings.results}')


def last_checkpoint(case: Case, folder: Path) -> Path:
    """The checkpoint of a training's last epoch in a work dir."""
    return folder / f'epoch_{resolve_config(ROOT / case.row.config, case.cfg_options()).train_cfg.max_epochs}.pth'


def differences(now: dict[str, Any], before: dict[str, Any]) -> str:
    """The parts of an identity that differ, in words."""
    words = dict(config='the config file', config_hash='a setting of the config',
                 data_hash='an annotation file or a mask')
    return ' and '.join(words.get(key, key) for key in now if before.get(key) != now[key])


def resume_point(folder: Path, max_epochs: int, val_interval: int, val_begin: int = 1) -> Path | None:
    """The checkpoint that a training goes on from, None to begin with.

    The last one; but if its validation was interrupted, the one before, since a validation is not repeated. With
    ``max_keep_ckpts=1`` that one is gone, and the training starts again.
    """
    pointer = folder / 'last_checkpoint'
    if not pointer.is_file():
        return None
    last = folder / Path(pointer.read_text().strip()).name
    epoch = int(last.stem.removeprefix('epoch_'))
    validated = epoch == max_epochs or epoch >= val_begin and epoch % val_interval == 0
    if validated and epoch not in read_history(folder).evaluations:
        last = folder / f'epoch_{epoch - 1}.pth'
    return last if last.is_file() else None


class Training:
    """One training in a process of its own.

    A lock on its folder is handed to the process and lives as long as it does: two trainings never write into one
    folder, whoever started them and whatever became of the starter.

    Raises:
        UserError: another process trains it right now, or a checkpoint that it reads isn't there.
    """

    def __init__(self, case: Case, settings: Settings, now: dict[str, Any]) -> None:
        check_checkpoints([ROOT / path for path in case.files_read], settings)
        self.case, self.settings, self.identity = case, settings, now
        self.folder = settings.folder(case)
        self.log = self.folder / 'output.txt'
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = FolderLock(self.folder.parent, f'{self.folder.name}.lock', 'training of this row').acquire()
        before = started_with(self.folder)
        if before is not None and before != now:
            _empty(self.folder)
        write_atomic(self.folder / 'started.json', json.dumps(now, indent=1) + '\n')
        self._git = self._note_revision()
        self.process = self._start(self._arguments())

    def _note_revision(self) -> dict[str, Any]:
        """The code's state; a training that went on with another one has both in its record."""
        path, now = self.folder / 'revisions.json', git_state()
        seen = json.loads(path.read_text()) if path.is_file() else []
        if now not in seen:
            seen.append(now)
            write_atomic(path, json.dumps(seen, indent=1) + '\n')
        return dict(now, earlier=[state for state in seen if state != now])

    def _arguments(self) -> list[str]:
        """What the process gets after ``python``."""
        loop = resolve_config(ROOT / self.case.row.config, self.case.cfg_options()).train_cfg
        resume = resume_point(self.folder, loop.max_epochs, loop.get('val_interval', 1),
                              loop.get('val_begin', 1))
        return [*self.command(self.folder), *self._loading(), *(['--resume', str(resume)] if resume else [])]

    def _start(self, arguments: list[str]) -> subprocess.Popen:
        env = environment(self.settings.threads)
        with open(self.log, 'ab') as output:
            return subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=env, stdout=output,
                                    stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
                                    pass_fds=[self._lock.fileno()])

    def command(self, work_dir: Path | str) -> list[str]:
        """The training's command line after ``python``, data loading left out."""
        return ['tools/train.py', self.case.row.config, '--work-dir', str(work_dir), '--cfg-options',
                *self.case.cfg_options()]

    def _loading(self) -> list[str]:
        cfg, workers = resolve_config(ROOT / self.case.row.config), self.settings.workers
        loaders = [key for key in ('train_dataloader', 'val_dataloader') if cfg.get(key)]
        return [f'{loader}.{key}' for loader in loaders
                for key in (f'num_workers={workers}', f'persistent_workers={workers > 0}')]

    def finish(self) -> dict[str, Any]:
        """Write the record of the ended process: what it measured, or the last lines of its log."""
        try:
            if self.process.returncode != 0:
                raise UserError(f'the training ended with status {self.process.returncode}')
            record = self._record(DONE) | self._measured()
        except UserError as error:
            record = self._record(FAILED) | dict(error=self._neutral(str(error)), log=self.last_lines())
        write_result(result_path(self.settings.results, self.case), record)
        self._lock.release()
        return record

    def _record(self, status: str) -> dict[str, Any]:
        usual = f'work_dirs/benchmarks/{self.case.suite}/{self.case.name}'
        return dict(
            format=FORMAT, status=status, suite=self.case.suite, row=self.case.row.name, title=self.case.row.title,
            **self.identity, cfg_options=self.case.cfg_options(),
            command=self._neutral(' '.join(['python', *self.command(usual)])), git=self._git,
            machine=describe_machine(), threads=self.settings.threads, workers=self.settings.workers,
            finished=time.strftime('%Y-%m-%d %H:%M:%S %z'))

    def _measured(self) -> dict[str, Any]:
        cfg = resolve_config(ROOT / self.case.row.config, self.case.cfg_options())
        return outcome(read_history(self.folder), cfg) | dict(parameters=count_parameters(cfg))

    def last_lines(self) -> list[str]:
        """The end of what the training printed, without this machine's folders."""
        lines = self.log.read_text(encoding='utf-8', errors='replace').splitlines()
        return [self._neutral(line) for line in lines[-_LOG_LINES:]]

    def _neutral(self, text: str) -> str:
        folders = [(str(self.settings.work_dir), 'work_dirs/benchmarks'), (f'{ROOT}{os.sep}', '')]
        data = os.environ.get(DATA_VARIABLE)
        for folder, name in [*([(data, f'${DATA_VARIABLE}')] if data else []), *folders]:
            text = text.replace(folder, name)
        return text

    def stop(self) -> None:
        """End the process and its loaders: politely, then for good."""
        for kind, patience in ((signal.SIGTERM, _PATIENCE_S), (signal.SIGKILL, None)):
            try:
                os.killpg(self.process.pid, kind)
            except ProcessLookupError:
                break
            try:
                self.process.wait(patience)
                break
            except subprocess.TimeoutExpired:
                continue
        self.process.wait()
        self._lock.release()


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
