"""Records of trainings that a restructuring renamed: whether they still count, and the note that says why.

A record counts while the settings of its config have the hash that it was trained with. Renaming a class or moving a
key changes the hash and no number. A table (YAML) states each such change with its reason; a
record is carried over when the old settings with these changes are exactly the new ones, and when its annotation files
are the same.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from io import BytesIO
from pathlib import Path
from typing import Any

from pydantic import Field

from benchmarking.machine import ROOT
from benchmarking.results import write_result
from benchmarking.yaml_files import Strict, read_model
from mmleuk.errors import UserError
from mmleuk.utils.command_line import exit_status

_OTHER_DATA = 'its annotation files have other contents'
Described = Mapping[str, Any]
"""A training as settings_dump.py describes it."""


class Change(Strict):
    """One change of the settings that changes no number.

    Attributes:
        why: what changed, and why results are the same.
        rows: patterns of ``suite/row_seedK`` that it concerns; default: all.
        types: old type -> new type, wherever a ``type`` has that value.
        moves: old path -> new path of a setting with everything below it, such as ``model.backbone:
            model.detector.backbone``.
        dropped: patterns of old settings that are gone, ``PATH`` or ``PATH=VALUE``.
        added: patterns of new settings, written like ``dropped``. A changed value is one of each.
        files: patterns of annotation files and folders that the hash of the data did not cover before. That they are
            those of the training is for ``shown_by`` to say.
    """

    why: str = Field(min_length=10)
    rows: list[str] = ['*']
    types: dict[str, str] = {}
    moves: dict[str, str] = {}
    dropped: list[str] = []
    added: list[str] = []
    files: list[str] = []


class Table(Strict):
    """All changes since a revision.

    Attributes:
        revision: of the code before the changes.
        shown_by: command or test that shows equal losses.
        changes: each with its reason.
    """

    revision: str
    shown_by: str
    changes: list[Change]


def settings_in(checkout: Path, names: Sequence[str]) -> dict[str, Described]:
    """Describe the trainings of a checkout's suites, in a process that imports the checkout's own code.

    Args:
        checkout: folder of the code.
        names: ``suite/row_seedK`` to describe even where the suite has the row with other seeds alone.

    Raises:
        UserError: the process failed.
    """
    env = {**os.environ, 'PYTHONPATH': os.pathsep.join([str(checkout), str(checkout / 'tools')])}
    done = subprocess.run([sys.executable, str(Path(__file__).with_name('settings_dump.py')), *names], cwd=checkout,
                          env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f'{checkout}: its suites cannot be read: {done.stderr.strip().splitlines()[-1]}')
    return json.loads(done.stdout.splitlines()[-1])


def settings_at(revision: str, names: Sequence[str]) -> dict[str, Described]:
    """:func:`settings_in` of a revision of this repository.

    Raises:
        UserError: there is no such revision.
    """
    done = subprocess.run(['git', '-C', str(ROOT), 'archive', revision, 'mmleuk', 'configs', 'tools', 'benchmarks'],
                          capture_output=True, check=False)
    if done.returncode:
        raise UserError(f'revision {revision}: {done.stderr.decode().strip()}')
    with tempfile.TemporaryDirectory() as folder, tarfile.open(fileobj=BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter='data')
        return settings_in(Path(folder), names)


def leaves(settings: Any, types: Mapping[str, str], path: str = '') -> Iterator[tuple[str, str]]:
    """Path and JSON value of each setting; hooks are named by their type, other list items by their index.

    >>> list(leaves({'a': {'type': 'Old', 'b': [1, 2]}, 'c': []}, {'Old': 'New'}))
    [('a.type', '"New"'), ('a.b.0', '1'), ('a.b.1', '2'), ('c', '[]')]
    """
    if isinstance(settings, dict) and settings:
        items = [(key, types.get(value, value) if key == 'type' and isinstance(value, str) else value)
                 for key, value in settings.items()]
    elif isinstance(settings, list) and settings and path == 'custom_hooks':
        items = [(types.get(hook['type'], hook['type']), hook) for hook in settings]
        items = [(name if [key for key, _ in items].index(name) == index else f'{name}#{index}', hook)
                 for index, (name, hook) in enumerate(items)]
    elif isinstance(settings, list) and settings:
        items = [(str(index), value) for index, value in enumerate(settings)]
    else:
        yield path, json.dumps(settings)
        return
    for key, value in items:
        yield from leaves(value, types, f'{path}.{key}' if path else str(key))


def compare(name: str, old: Described, new: Described, table: Table) -> tuple[list[str], list[str]]:
    """Compare a training's settings before and after the changes.

    Args:
        name: ``suite/row_seedK``.
        old: the training as it was.
        new: the training as it is.
        table: the stated changes.

    Returns:
        Reasons of the changes that it took, and differences that no change explains.
    """
    changes = [change for change in table.changes if any(fnmatchcase(name, rows) for rows in change.rows)]
    types = {before: now for change in changes for before, now in change.types.items()}
    moves = {before: now for change in changes for before, now in change.moves.items()}
    untouched = dict(leaves(old['settings'], {}))
    before = {_moved(path, moves): value for path, value in leaves(old['settings'], types)}
    now = dict(leaves(new['settings'], {}))
    gone = [f'{path}={value}' for path, value in before.items() if now.get(path) != value]
    come = [f'{path}={value}' for path, value in now.items() if before.get(path) != value]
    left = [f'- {leaf}' for leaf in gone if not any(_matches(leaf, change.dropped) for change in changes)]
    left += [f'+ {leaf}' for leaf in come if not any(_matches(leaf, change.added) for change in changes)]
    used = [change.why for change in changes if
            any(_matches(leaf, change.dropped) for leaf in gone) or any(_matches(leaf, change.added) for leaf in come)
            or any(path.endswith('type') and json.loads(value) in change.types for path, value in untouched.items())
            or any(_moved(path, change.moves) != path for path in untouched)]
    return used, left


def _newly_covered(name: str, record: Mapping[str, Any], old: Described, new: Described,
                   table: Table) -> list[str] | None:
    """Reasons of the changes for files that the data's hash covers now; None if the data differ otherwise."""
    more = [path for path in new['files'] if path not in old['files']]
    changes = [change for change in table.changes if any(fnmatchcase(name, rows) for rows in change.rows)
               and any(fnmatchcase(path, pattern) for path in more for pattern in change.files)]
    explained = all(any(fnmatchcase(path, pattern) for change in changes for pattern in change.files) for path in more)
    same = old['data_hash'] == record['data_hash'] and set(old['files']) <= set(new['files'])
    return [change.why for change in changes] if more and explained and same else None


def _moved(path: str, moves: Mapping[str, str]) -> str:
    for before in sorted(moves, key=len, reverse=True):
        if path == before or path.startswith(f'{before}.'):
            return moves[before] + path[len(before):]
    return path


def _matches(leaf: str, patterns: Sequence[str]) -> bool:
    """Whether ``PATH=VALUE`` fits a pattern; a pattern without a value takes a setting with everything below it."""
    path = leaf.partition('=')[0]
    return any(fnmatchcase(leaf, pattern) if '=' in pattern else
               fnmatchcase(path, pattern) or fnmatchcase(path, f'{pattern}.*') for pattern in patterns)


def verdict(name: str, record: Mapping[str, Any], before: Mapping[str, Described], now: Mapping[str, Described],
            table: Table) -> tuple[list[str], list[str]]:
    """Reasons for carrying a record over, and reasons against it; both empty where nothing changed.

    Args:
        name: ``suite/row_seedK``.
        record: with ``config``, ``config_hash`` and ``data_hash``.
        before: all trainings at the table's revision.
        now: all trainings of today.
        table: the stated changes.
    """
    old, new = (found.get(name, dict(error='no such row')) for found in (before, now))
    for time, described in (('before', old), ('now', new)):
        if 'error' in described:
            return [], [f'{time}: {described["error"]}']
    renamed = [f'The config file is {new["config"]} now.'] if record['config'] != new['config'] else []
    covered = [] if new['data_hash'] in (None, record['data_hash']) else _newly_covered(name, record, old, new, table)
    if record['config_hash'] == new['config_hash']:
        return ([*renamed, *covered], []) if covered is not None else ([], [_OTHER_DATA])
    if record['config_hash'] != old['config_hash']:
        return [], [f'its config had changed before {table.revision}']
    if covered is None:
        return [], [_OTHER_DATA]
    renamed += covered
    if new['data_hash'] is None and old['files'] != new['files']:
        return [], [f'its annotation files have other names: {", ".join(new["files"])}; set MMLEUK_DATA to the folder '
                    'of the data, so that their contents can be compared']
    used, left = ([], []) if old['settings'] is None else compare(name, old, new, table)
    for other in new['needs']:
        theirs = verdict(other, before.get(other, {}), before, now, table)
        used, left = [*used, *theirs[0]], [*left, *theirs[1]]
    if not left and not renamed and not used:
        used = ['The settings are the same; what counts as a setting without a result has changed.']
    return list(dict.fromkeys([*renamed, *used])), left


def carry(results: Path, table: Table, before: Mapping[str, Described], now: Mapping[str, Described],
          write: bool) -> dict[str, tuple[list[str], list[str]]]:
    """Carry the records of a results folder over, measured costs with them.

    Args:
        results: holds ``suite/row_seedK.json`` and ``suite/cost.json``.
        table: the stated changes.
        before: all trainings at the table's revision.
        now: all trainings of today.
        write: whether files are changed; else they are only looked at.

    Returns:
        Verdict of each record, see :func:`verdict`.
    """
    found = {}
    for path in sorted(results.glob('*/*_seed*.json')):
        name, record = f'{path.parent.name}/{path.stem}', json.loads(path.read_text(encoding='utf-8'))
        used, left = found[name] = verdict(name, record, before, now, table)
        if used and not left and write:
            note = dict(revision=table.revision, config=record['config'], config_hash=record['config_hash'],
                        data_hash=record['data_hash'], changes=used, shown_by=table.shown_by)
            same = {key: now[name][key] for key in ('config', 'config_hash', 'cfg_options', 'data_hash')
                    if now[name][key] is not None}
            write_result(path, record | same | dict(carried=[*record.get('carried', []), note]))
    if write:
        _carry_costs(results, found, before, now)
    return found


def _carry_costs(results: Path, found: Mapping[str, tuple[list[str], list[str]]], before: Mapping[str, Described],
                 now: Mapping[str, Described]) -> None:
    """A cost was measured with the config of a row's first seed, and counts as long as that row's record does."""
    for path in sorted(results.glob('*/cost.json')):
        renamed = {before[name]['config_hash']: now[name]['config_hash'] for name, (used, left) in found.items()
                   if name.startswith(f'{path.parent.name}/') and used and not left}
        cost = json.loads(path.read_text(encoding='utf-8'))
        rows = {row: values | dict(config_hash=renamed.get(values['config_hash'], values['config_hash']))
                for row, values in cost['rows'].items()}
        now_hash = renamed.get(cost['config_hash'], cost['config_hash'])
        if rows != cost['rows'] or now_hash != cost['config_hash']:
            write_result(path, cost | dict(config_hash=now_hash, rows=rows))


def carry_parser() -> argparse.ArgumentParser:
    """The flags of ``tools/benchmark_carry.py``."""
    parser = argparse.ArgumentParser(description='Carry records over a restructuring that changes no number.')
    parser.add_argument('table', type=Path, help='YAML with the changes, see docs/benchmarking.md')
    parser.add_argument('--results', type=Path, default=ROOT / 'benchmarks' / 'results',
                        help='one JSON per training (default benchmarks/results)')
    parser.add_argument('--dry-run', action='store_true', help='print what would be done and change no file')
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``tools/benchmark_carry.py``: 0 when every record counts, 1 when one doesn't, 2 for bad input."""
    return exit_status(run, carry_parser().parse_args(arguments))


def run(args: argparse.Namespace) -> int:
    """Carry what can be carried, and print a line per record with its reasons or differences.

    Raises:
        UserError: the table, the revision or a suite is wrong.
    """
    table = read_model(args.table, Table)
    names = [f'{path.parent.name}/{path.stem}' for path in sorted(args.results.glob('*/*_seed*.json'))]
    found = carry(args.results, table, settings_at(table.revision, names), settings_in(ROOT, names),
                  write=not args.dry_run)
    for name, (used, left) in found.items():
        print(f'{name}: {"does not count" if left else "carried over" if used else "unchanged"}')
        print(*(f'    {line}\n' for line in left or used), sep='', end='')
    return int(any(left for _, left in found.values()))
