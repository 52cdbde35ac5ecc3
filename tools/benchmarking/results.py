"""One JSON per training, ``<results>/<suite>/<row>_seed<k>.json``: what the tables are made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mmengine.config import Config

from benchmarking.history import History
from benchmarking.identity import case_hash
from benchmarking.machine import ROOT
from benchmarking.suite import Case, Suite
from mmleuk.errors import UserError
from mmleuk.utils.config_file import build_model
from mmleuk.utils.files import write_atomic

FORMAT = 1
DONE, FAILED = 'done', 'failed'
_KEYS = frozenset({'config', 'config_hash', 'data_hash', 'git', 'machine', 'threads', 'command'})
_KEYS_OF = {DONE: frozenset({'epochs', 'seconds', 'metrics', 'evaluations', 'losses', 'scalars', 'parameters'}),
            FAILED: frozenset({'error', 'log'})}


def result_path(results: Path, case: Case) -> Path:
    """Path of a training's JSON."""
    return results / case.suite / f'{case.name}.json'


def read_result(path: Path) -> dict[str, Any] | None:
    """A training's JSON; None when there is none yet.

    Raises:
        UserError: the file is broken or of another format.
    """
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise UserError(f'{path}: not JSON ({error}); remove it and run its row again') from error
    if not isinstance(record, dict) or record.get('format') != FORMAT or record.get('status') not in (DONE, FAILED):
        raise UserError(f'{path}: not a result of tools/benchmark.py (format {FORMAT}); remove it and run its '
                        'row again')
    missing = sorted((_KEYS | _KEYS_OF[record['status']]) - set(record))
    if missing:
        raise UserError(f'{path}: a result without {missing[0]!r}; remove it and run its row again')
    return record


def read_results(results: Path, suite: Suite) -> dict[str, dict[str, Any]]:
    """All JSONs of a suite's trainings that are there, by the trainings' names."""
    found = ((case.name, read_result(result_path(results, case))) for case in suite.cases())
    return {name: record for name, record in found if record is not None}


def current_results(results: Path, suite: Suite) -> dict[str, dict[str, Any]]:
    """The JSONs of a suite's trainings that the same commands would give today, by the trainings' names.

    One of another config file counts as not there, and one whose settings (those of the file, of what it builds on, and
    the row's options) have changed since. Annotations aren't compared: a table is made without the data.

    Raises:
        UserError: a JSON is broken.
    """
    cases = {case.name: case for case in suite.cases()}
    return {name: record for name, record in read_results(results, suite).items()
            if record['config'] == cases[name].row.config and not missing_configs(cases[name])
            and record['config_hash'] == case_hash(cases[name])}


def missing_configs(case: Case) -> list[str]:
    """Config files that aren't there, of a training and of those it reads, or of an ensemble's members."""
    own = [] if case.members or (ROOT / case.row.config).is_file() else [case.row.config]
    return [*own, *(config for other in [*case.members, *case.sources] for config in missing_configs(other))]


def cost_path(results: Path, suite: Suite) -> Path:
    """Path of a suite's measured costs (tools/benchmark_cost.py)."""
    return results / suite.name / 'cost.json'


def current_cost(results: Path, suite: Suite) -> dict[str, Any] | None:
    """A suite's costs, without those whose suite or config has changed since; None if there are none.

    ``stale`` names the rows that are left out: all of them where the reference has changed.

    Raises:
        UserError: the file is broken.
    """
    path = cost_path(results, suite)
    if not path.is_file():
        return None
    try:
        cost = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise UserError(f'{path}: not JSON ({error}); remove it and measure again') from error
    if not isinstance(cost, dict) or not {'reference', 'config_hash', 'rows'} <= set(cost):
        raise UserError(f'{path}: not what tools/benchmark_cost.py writes; remove it and measure again')
    now = {row.name: case_hash(case) for row in suite.rows
           if not missing_configs(case := Case.of_row(suite.name, row, row.seeds[0]))}
    same = now.get(cost['reference']) == cost['config_hash']
    rows = {name: row for name, row in cost['rows'].items() if same and now.get(name) == row['config_hash']}
    return cost | dict(rows=rows, stale=[name for name in cost['rows'] if name not in rows])


def write_result(path: Path, record: dict[str, Any]) -> None:
    """Write it whole or not at all; a value per line, so that a changed one shows in a diff.

    Raises:
        UserError: the disk is full or the folder not writable.
    """
    write_atomic(path, json.dumps(record, indent=1, ensure_ascii=False) + '\n')


def outcome(history: History, cfg: Config) -> dict[str, Any]:
    """The part of a record that the training's log gives: final metrics, curves, time.

    Raises:
        UserError: the last epoch was not validated.
    """
    epochs = cfg.train_cfg.max_epochs
    if epochs not in history.evaluations:
        raise UserError(f'the training ended without a validation after epoch {epochs}; validations are there of the '
                        f'epochs {sorted(history.evaluations)}. Set train_cfg.val_interval so that it divides '
                        'train_cfg.max_epochs')
    return dict(epochs=epochs, seconds=history.seconds, metrics=history.evaluations[epochs],
                evaluations=by_text(history.evaluations), losses=by_text(history.losses),
                scalars=by_text(history.scalars))


def count_parameters(cfg: Config) -> int:
    """Number of weights of ``cfg.model``, which isn't changed.

    The model is really built: not every one can be on PyTorch's meta device, such as MMSegmentation's Swin.
    """
    return sum(parameter.numel() for parameter in build_model(cfg).parameters())


def by_text(values: dict[int, Any]) -> dict[str, Any]:
    """Keys as JSON has them."""
    return {str(key): value for key, value in values.items()}
