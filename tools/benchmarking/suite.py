"""A suite: rows of one table, each a config trained with some seeds. Plain YAML, every key known."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarking.claims import Claim, read_claim
from benchmarking.fields import check_keys, check_one_of, read_yaml, text_at, text_dict_at, texts_at, value_at
from mmleuk.errors import UserError

SUITE_KEYS = frozenset({'title', 'intro', 'caption', 'cfg-options', 'metrics', 'classes', 'scalars', 'roles', 'rows',
                        'checks', 'cost', 'order'})
ROW_KEYS = frozenset({'name', 'title', 'config', 'ensemble', 'seeds', 'cfg-options', 'group'})
COST_KEYS = frozenset({'reference', 'rows', 'epoch'})
ROLES = frozenset({'upper', 'lower'})
METRICS: Mapping[str, str] = {
    'mAP@50-95': 'coco/bbox_mAP', 'mAP@50': 'coco/bbox_mAP_50', 'recall (AR@100)': 'coco/bbox_AR@100'}
_NAME = re.compile(r'[a-z0-9][a-z0-9_-]*')
_OF_A_TRAINING = re.compile(r'(?:^|/)work_dirs/benchmarks/([^/]+/[^/]+_seed\d+)/')
"""A file in a training's work dir, and which training's."""


@dataclass(frozen=True)
class Row:
    """A config and the seeds to train it with, or an ensemble of other rows, which is not trained.

    Attributes:
        name: as in file names: small letters, digits, ``-`` and ``_``.
        title: as in the table.
        config: path from the repository's root; empty for an ensemble.
        seeds: one training each; of an ensemble, one of its members' each.
        options: what ``--cfg-options`` gets, the suite's and the row's together.
        group: rows of one group stand together in the table.
        members: of an ensemble.
        sources: rows above, each with a seed, whose work dirs' files (checkpoints) the options name.
    """

    name: str
    title: str
    config: str
    seeds: tuple[int, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    group: str = ''
    members: tuple[Row, ...] = ()
    sources: tuple[tuple[Row, int], ...] = ()


@dataclass(frozen=True)
class Case:
    """One training, or ensemble of trainings: a row with one of its seeds."""

    suite: str
    row: Row
    seed: int

    @property
    def name(self) -> str:
        """Names its files: ``<row>_seed<k>``."""
        return f'{self.row.name}_seed{self.seed}'

    @property
    def members(self) -> tuple[Case, ...]:
        """The trainings of an ensemble."""
        return tuple(Case(self.suite, row, self.seed) for row in self.row.members)

    @property
    def sources(self) -> tuple[Case, ...]:
        """The trainings whose files this one reads."""
        return tuple(Case(self.suite, row, seed) for row, seed in self.row.sources)

    @property
    def files_read(self) -> tuple[str, ...]:
        """Those files, such as ``work_dirs/benchmarks/SUITE/ROW_seed0/epoch_20.pth``."""
        return tuple(path for _, path, _ in _files_of_trainings(self.row.options))

    def cfg_options(self) -> list[str]:
        """``KEY=VALUE`` for ``tools/train.py --cfg-options``, the seed among them."""
        return [f'{key}={_as_text(value)}' for key, value in {**self.row.options, 'randomness.seed': self.seed}.items()]


@dataclass(frozen=True)
class Suite:
    """A table to be measured.

    Attributes:
        name: the YAML file's stem.
        title, intro, caption: words for the document.
        rows: in the table's order.
        metrics: column title -> key of the evaluation.
        classes: class names whose AP gets a column, in order.
        scalars: column title -> key of a logged scalar, averaged over the epochs that have it.
        roles: ``upper``, ``lower`` -> name of a row; with both the share of the gap is shown.
        claims: see :mod:`benchmarking.claims`.
        cost: how costs are measured, see :mod:`benchmarking.cost`.
        order: place in the document; equal ones by name.
    """

    name: str
    title: str
    rows: tuple[Row, ...]
    intro: str = ''
    caption: str = ''
    metrics: Mapping[str, str] = field(default_factory=lambda: dict(METRICS))
    classes: tuple[str, ...] = ()
    scalars: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ()
    cost: Mapping[str, Any] = field(default_factory=dict)
    order: int = 0

    def cases(self) -> list[Case]:
        """All trainings, the first seed of every row before the second of any: a whole table as early as can be."""
        rounds = max(len(row.seeds) for row in self.rows)
        return [Case(self.name, row, row.seeds[number])
                for number in range(rounds) for row in self.rows if number < len(row.seeds)]

    def choose(self, names: str | None) -> list[Case]:
        """The trainings that ``names`` lists: ``row`` (all its seeds) or ``row:seed``, with commas between.

        Raises:
            UserError: no such row or seed.
        """
        if names is None:
            return self.cases()
        wanted: set[str] = set()
        for text in names.split(','):
            found = {case.name for case in self.cases() if text in (case.row.name, f'{case.row.name}:{case.seed}')}
            if not found:
                raise UserError(f'--rows {text!r}: the suite {self.name!r} has no such row; it has '
                                f'{", ".join(_with_seeds(row) for row in self.rows)}')
            wanted |= found
        return [case for case in self.cases() if case.name in wanted]

    def row(self, name: str) -> Row:
        """The row of that name; a ``KeyError`` when there is none."""
        return {row.name: row for row in self.rows}[name]


def read_suite(path: str | Path) -> Suite:
    """Read a suite's YAML.

    Raises:
        UserError: no such file, not YAML, a key unknown, missing or of another kind; names the file and the row.
    """
    path = Path(path)
    data = read_yaml(path)
    check_keys(data, SUITE_KEYS, {'title', 'rows'}, str(path))
    _check_name(path.stem, f'{path}: the file')
    shared = _options(data, str(path))
    rows = value_at(data, 'rows', list, str(path))
    if not rows:
        raise UserError(f'{path}: rows is empty; a suite has at least one row')
    read: list[Row] = []
    for number, row in enumerate(rows, start=1):
        read.append(_row(row, shared, f'{path}: row {number}', read, path.stem))
    metrics = text_dict_at(data, 'metrics', str(path)) or dict(METRICS)
    classes, scalars = texts_at(data, 'classes', str(path)), text_dict_at(data, 'scalars', str(path))
    roles = text_dict_at(data, 'roles', str(path))
    names = [row.name for row in read]
    _check_names(names, roles, path)
    titles = [*metrics, *scalars, *(f'AP {name}' for name in classes)]
    return Suite(
        name=path.stem, title=text_at(data, 'title', str(path)), intro=text_at(data, 'intro', str(path)),
        caption=text_at(data, 'caption', str(path)), rows=tuple(read), metrics=metrics, classes=tuple(classes),
        scalars=scalars, roles=roles,
        claims=tuple(read_claim(claim, names, roles, titles, f'{path}: check {number}')
                     for number, claim in enumerate(value_at(data, 'checks', list, str(path)), start=1)),
        cost=_cost(data, names, str(path)), order=value_at(data, 'order', int, str(path)))


def _cost(data: Mapping[str, Any], names: Sequence[str], where: str) -> dict[str, Any]:
    cost = value_at(data, 'cost', dict, where)
    if not cost:
        return {}
    where = f'{where}: cost'
    check_keys(cost, COST_KEYS, COST_KEYS, where)
    check_one_of([text_at(cost, 'reference', where), *texts_at(cost, 'rows', where)], names, 'rows', where)
    if value_at(cost, 'epoch', int, where) < 1:
        raise UserError(f'{where}: epoch counts from 1, got {cost["epoch"]}')
    return cost


def _row(data: Any, shared: Mapping[str, Any], where: str, before: Sequence[Row], suite: str) -> Row:
    """One row of a suite; ``before`` are those above it."""
    fused = isinstance(data, dict) and 'ensemble' in data
    check_keys(data, ROW_KEYS - ({'config', 'cfg-options'} if fused else set()),
                {'name', 'ensemble' if fused else 'config', 'seeds'}, where)
    name = text_at(data, 'name', where)
    _check_name(name, f'{where}: the name')
    where = f'{where} ({name})'
    seeds = value_at(data, 'seeds', list, where)
    if not seeds or any(type(seed) is not int or seed < 0 for seed in seeds) or len(set(seeds)) < len(seeds):
        raise UserError(f'{where}: seeds are different integers from 0 on, got {seeds}')
    options = {} if fused else {**shared, **_options(data, where)}
    return Row(name=name, title=text_at(data, 'title', where) or name, config=text_at(data, 'config', where),
               seeds=tuple(seeds), options=options, group=text_at(data, 'group', where),
               members=_members(data, seeds, before, where) if fused else (),
               sources=_sources(options, before, suite, where))


def _members(data: Mapping[str, Any], seeds: Sequence[int], before: Sequence[Row], where: str) -> tuple[Row, ...]:
    names = texts_at(data, 'ensemble', where)
    rows = {row.name: row for row in before if not row.members and set(seeds) <= set(row.seeds)}
    wrong = [name for name in names if name not in rows]
    if wrong or len(set(names)) < max(len(names), 2):
        raise UserError(f'{where}: ensemble lists two rows or more that stand above it and have its seeds, each once: '
                        f'some of {", ".join(rows) or "none"}; got {names}')
    return tuple(rows[name] for name in names)


def _sources(options: Mapping[str, Any], before: Sequence[Row], suite: str, where: str) -> tuple[tuple[Row, int], ...]:
    """Rows above whose trainings' files the options name: renewed, they renew what reads them."""
    trainings = {f'{suite}/{row.name}_seed{seed}': (row, seed)
                 for row in before if not row.members for seed in row.seeds}
    found = []
    for key, path, training in _files_of_trainings(options):
        if training not in trainings:
            raise UserError(f'{where}: cfg-options: {key}: {path} is of no training above it in this suite; there '
                            f'are {", ".join(trainings) or "none"}')
        found.append(trainings[training])
    return tuple(found)


def _files_of_trainings(options: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Options that name a file in a training's work dir: key, path, and the training as SUITE/ROW_seedK."""
    texts = [(key, str(text)) for key, value in options.items()
             for text in (value if isinstance(value, list) else [value])]
    return [(key, text, named[1]) for key, text in texts if (named := _OF_A_TRAINING.search(text))]


def _options(data: Mapping[str, Any], where: str) -> dict[str, Any]:
    options = value_at(data, 'cfg-options', dict, where)
    if 'randomness.seed' in options:
        raise UserError(f'{where}: cfg-options: randomness.seed comes from the row\'s seeds; take it out')
    for key, value in options.items():
        if isinstance(value, dict):
            raise UserError(f'{where}: cfg-options: {key}: write nested keys with dots, such as train_cfg.max_epochs')
    return options


def _check_names(names: Sequence[str], roles: Mapping[str, str], path: Path) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f'{path}: two rows have the name {twice[0]!r}; results are filed by name')
    for role, name in roles.items():
        if role not in ROLES or name not in names:
            raise UserError(f'{path}: roles: {role}: {name!r}; a role is one of {", ".join(sorted(ROLES))} and names '
                            f'one of the rows {", ".join(names)}')


def _check_name(name: str, what: str) -> None:
    if not _NAME.fullmatch(name):
        raise UserError(f'{what} is called {name!r}; take small letters, digits, - and _, since files are named by it')


def _as_text(value: Any) -> str:
    """A value as ``--cfg-options`` reads it.

    >>> _as_text([1, 'a']), _as_text(None), _as_text(0.5)
    ('[1,a]', 'None', '0.5')
    """
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f'[{",".join(map(_as_text, value))}]'
    return str(value)


def _with_seeds(row: Row) -> str:
    return f'{row.name} (seeds {", ".join(map(str, row.seeds))})'
